"""Stage export: plan and weights as Triton model repositories, or a new version of a live one."""

from plumbline.stages.export import main

if __name__ == "__main__":
    main()

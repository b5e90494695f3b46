"""Stage export: plan and weights as Triton model repositories, or a new version of a live one."""

from plumbline.cli import main

if __name__ == "__main__":
    main("export")

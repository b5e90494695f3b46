"""Look at logs that nobody has described, and write a configuration for them."""

from plumbline.stages.init import main

if __name__ == "__main__":
    main()

"""Look at logs that nobody has described, and write a configuration for them."""

from plumbline.cli import main

if __name__ == "__main__":
    main("init")

"""Look at new logs, and write a configuration for them."""

from plumbline.cli import main

if __name__ == "__main__":
    main("init")

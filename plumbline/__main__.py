"""`python -m plumbline`: the command `plumbline`."""

from plumbline.cli import main

if __name__ == "__main__":
    main()

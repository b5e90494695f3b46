"""Verify a model repository before a server loads it: `python -m serving.verify FOLDER`."""

from plumbline.cli import main

if __name__ == "__main__":
    main("verify")

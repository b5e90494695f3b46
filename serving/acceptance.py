"""Compare a running server with an export: `python -m serving.acceptance REPOSITORY URL`."""

from plumbline.cli import main

if __name__ == "__main__":
    main("accept")

"""Check the answers of a running server: `python -m serving.probe HOST:PORT`."""

from plumbline.cli import main

if __name__ == "__main__":
    main("probe")

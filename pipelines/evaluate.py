"""Stage evaluate: offline scores of the other splits, their metrics, and a verdict."""

from plumbline.cli import main

if __name__ == "__main__":
    main("evaluate")

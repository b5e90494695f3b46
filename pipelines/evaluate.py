"""Stage evaluate: offline scores of the valid, test and probe splits, their metrics, and a
verdict."""

from plumbline.stages.evaluate import main

if __name__ == "__main__":
    main()

"""Stage etl: fit the workflow on the training split, encode every split, write the feature plan."""

from plumbline.cli import main

if __name__ == "__main__":
    main("etl")

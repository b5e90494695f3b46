"""Stage train: train the DLRM on the encoded rows; goes on from its last checkpoint."""

from plumbline.cli import main

if __name__ == "__main__":
    main("train")

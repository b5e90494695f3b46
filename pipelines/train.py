"""Stage train: train the DLRM on the encoded rows; resumes from the last checkpoint."""

from plumbline.cli import main

if __name__ == "__main__":
    main("train")

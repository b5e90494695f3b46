"""Stage train: a loader of encoded rows trains the DLRM; goes on from its last checkpoint."""

from plumbline.stages.train import main

if __name__ == "__main__":
    main()

"""Stage ingest: check and count the raw logs, and take the probe split from them."""

from plumbline.cli import main

if __name__ == "__main__":
    main("ingest")

"""Stage ingest: check and count the raw logs, and take the probe split from them."""

from plumbline.stages.ingest import main

if __name__ == "__main__":
    main()

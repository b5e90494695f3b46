"""Raw logs to served scores: every stage in order, then the report."""

from plumbline.stages.run_all import main

if __name__ == "__main__":
    main()

"""Verify a model repository before a server loads it: `python -m serving.verify FOLDER`."""

import sys

from plumbline.serving.check.verify import main

if __name__ == "__main__":
    sys.exit(main())

"""Stage serve: start Triton on the exported repository, send raw test rows, compare, time."""

from plumbline.cli import main

if __name__ == "__main__":
    main("serve")

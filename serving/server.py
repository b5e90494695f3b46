"""Start a Triton server on a model repository: `python -m serving.server REPOSITORY`."""

from plumbline.cli import main

if __name__ == "__main__":
    main("server")

"""Start a Triton server on a model repository: `python -m serving.server REPOSITORY`."""

import typer

from plumbline.serving.launch.server import serve

if __name__ == "__main__":
    typer.run(serve)

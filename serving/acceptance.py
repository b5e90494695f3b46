"""Hold a running server against an export: `python -m serving.acceptance REPOSITORY URL`."""

import typer

from plumbline.serving.check.acceptance import accept

if __name__ == "__main__":
    typer.run(accept)

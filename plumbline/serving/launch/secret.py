"""The secret that a server and its clients share, and where it is read from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from plumbline.serving.errors import ServerError

SECRET_VARIABLE = "PLUMBLINE_SECRET"
"""Environment variable that holds the secret. It is not handed on to the server's processes."""

SECRET_HEADER = "plumbline-secret"
"""The header that shows it; see `plumbline.serving.client.connection.secret_header`."""

_FORM = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
"""What passes unchanged through Triton's command line, an HTTP header and gRPC metadata."""


def read_secret(file: Path | None = None) -> str | None:
    """The file's content without white space around it, else the environment variable, else None.

    Raises
    ------
    ServerError
        The file is not readable, or the secret is too short or has other characters in it. The
        message does not show it.
    """
    if file is None:
        secret, source = os.environ.get(SECRET_VARIABLE) or None, SECRET_VARIABLE
    else:
        source = str(file)
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(
                f"{file}: wanted a file with the secret, but it cannot be read "
                f"({type(error).__name__})."
            ) from None
    if secret is not None and not _FORM.fullmatch(secret):
        raise ServerError(
            f"{source}: wanted a secret of 16 or more letters, digits and . _ ~ + / = -, found "
            f"{len(secret)} characters that are not. Make one with: openssl rand -hex 32"
        )
    return secret

"""Files that an artifact names: each has to be a plain file inside of the artifact's folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from plumbline.base.errors import ArtifactError
from plumbline.base.json_fields import shown


def file_inside(folder: Path, name: str, errors: type[ArtifactError]) -> Path:
    """The path of a file that is named relative to `folder`.

    Raises
    ------
    ArtifactError
        The name leads out of the folder, by itself or by a link, there is no such file, or it is a
        pipe, a device or a folder, which nobody may wait for.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise errors.unreadable(
            str(folder), f"wanted names of files inside of this folder, got {shown(name)}"
        )
    file = folder / name
    try:
        # In bytes: the Python that Triton embeds has no locale and encodes file names in ASCII.
        path, top = _bytes(file), _bytes(folder)
        mode = os.stat(path).st_mode  # noqa: PTH116
        resolved, resolved_top = os.path.realpath(path), os.path.realpath(top)
    except (OSError, UnicodeEncodeError):
        raise errors.missing(str(file)) from None
    if os.path.commonpath([resolved, resolved_top]) != resolved_top:
        raise errors.unreadable(str(file), "it is a link out of its folder")
    if not stat.S_ISREG(mode):
        raise errors.unreadable(str(file), "wanted a plain file, found a folder, pipe or device")
    return file


def _bytes(path: Path) -> bytes:
    return str(path).encode("utf-8", "surrogateescape")

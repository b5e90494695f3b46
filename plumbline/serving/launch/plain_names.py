"""Links with plain names to folders, for Triton's Python backend.

The backend passes a model's path to its processes in a command line that is split at blanks, and
their Python assumes ASCII file names.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from plumbline.serving.errors import ServerError
from plumbline.serving.launch.owned import OwnedFolder, temporary_parents

_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


class PlainNames:
    """Links with plain names, in a temporary folder that is created on demand."""

    def __init__(self) -> None:
        self._folder: OwnedFolder | None = None
        self._links: dict[Path, Path] = {}

    def scratch(self, folder: Path) -> Path:
        """The folder itself if its path is plain, else the temporary folder.

        Raises
        ------
        ServerError
            No temporary folder can be created under a plain name.
        """
        return folder if _is_plain(folder) else self._temporary()

    def of(self, folder: Path) -> Path:
        """The folder itself if its path is plain, else a link to it. Raises as `scratch`."""
        if _is_plain(folder):
            return folder
        if folder not in self._links:
            link = self._temporary() / f"repository{len(self._links) or ''}"
            link.symlink_to(folder, target_is_directory=True)
            self._links[folder] = link
        return self._links[folder]

    def resolved(self, text: str) -> str:
        """The text, with each link's name replaced by its folder's."""
        for folder, link in self._links.items():
            text = text.replace(str(link), str(folder))
        return text

    @property
    def folders(self) -> list[OwnedFolder]:
        """The temporary folder, if there is one."""
        return [] if self._folder is None else [self._folder]

    def close(self) -> None:
        """Remove the links; the folders stay."""
        folder, self._folder = self._folder, None
        self._links.clear()
        if folder is not None:
            folder.close()

    def _temporary(self) -> Path:
        if self._folder is None:
            self._folder = _temporary_folder()
        return self._folder.path


def _is_plain(folder: Path) -> bool:
    return _PLAIN.fullmatch(str(folder)) is not None


def _temporary_folder() -> OwnedFolder:
    parents = temporary_parents()
    for parent in parents:
        if _is_plain(Path(parent)):
            with suppress(ServerError):
                return OwnedFolder("names", parent)
    raise ServerError(
        f"No folder for temporary files with a plain name, which Triton needs, among "
        f"{', '.join(parents)}. Set TMPDIR to one of letters, digits and . _ - /."
    )

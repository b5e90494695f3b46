"""Names of plain letters for folders, which Triton's Python backend cannot do without.

It hands a model's path to its processes in a command line that is split at blanks, and the Python
inside them takes ASCII for the encoding of file names.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from plumbline.serving.errors import ServerError

_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


class PlainNames:
    """Links to folders under plain names, in a temporary folder that is made when it is needed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._links: dict[Path, Path] = {}

    def scratch(self, folder: Path) -> Path:
        """The folder where its path is plain, else a temporary one.

        Raises
        ------
        ServerError
            There is no place for one.
        """
        return folder if _is_plain(folder) else self._made()

    def of(self, folder: Path) -> Path:
        """The folder where its path is plain, else a link to it; raises as `scratch`."""
        if _is_plain(folder):
            return folder
        if folder not in self._links:
            link = self._made() / f"repository{len(self._links) or ''}"
            link.symlink_to(folder, target_is_directory=True)
            self._links[folder] = link
        return self._links[folder]

    def told(self, text: str) -> str:
        """The text with the folders' own names for those of the links."""
        for folder, link in self._links.items():
            text = text.replace(str(link), str(folder))
        return text

    def close(self) -> None:
        """Remove the links; what they lead to stays."""
        folder, self._folder = self._folder, None
        self._links.clear()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _made(self) -> Path:
        if self._folder is None:
            self._folder = _temporary_folder()
        return self._folder


def _is_plain(folder: Path) -> bool:
    return _PLAIN.fullmatch(str(folder)) is not None


def _temporary_folder() -> Path:
    places = dict.fromkeys((tempfile.gettempdir(), *_PLACES))
    for place in places:
        if _is_plain(Path(place)):
            try:
                return Path(tempfile.mkdtemp(prefix="plumbline-names-", dir=place))
            except OSError:
                continue
    raise ServerError(
        f"No folder for temporary files with a plain name, which Triton needs, among "
        f"{', '.join(places)}. Set TMPDIR to one of letters, digits and . _ - /."
    )

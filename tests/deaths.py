"""Functions that kill their own process, in the workers of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def deaths(folder: Path, number: int) -> Path:
    """A folder with a file for each death that is still to come."""
    folder.mkdir()
    for death in range(number):
        (folder / f"{death}").touch()
    return folder


def mortal(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The function, whose first calls, in any process, kill their process (SIGKILL)."""
    return partial(_call, function, folder, _die)


def fallible(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The function, whose first calls, in any process, raise an error of the disk."""
    return partial(_call, function, folder, _fail)


def _call(
    function: Callable[..., Any],
    coming: Path,
    end: Callable[..., None],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    for death in coming.iterdir():
        try:
            death.unlink()
        except FileNotFoundError:  # another process died of it
            continue
        end(*args)
    return function(*args, **kwargs)


def _die(*args: Any) -> None:
    """Leave half a file in each folder that the call was given, as a writer does that is killed."""
    for folder in args:
        if isinstance(folder, Path) and folder.is_dir():
            (folder / f"half of {os.getpid()}").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(*args: Any) -> None:
    raise OSError("the disk does not answer")

"""Silence the warnings of NVTabular and Merlin inside a block."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = (
    "Tensorflow dtype mappings did not load",
    "PyTorch dtype mappings did not load",
    "Initializing an NVTabular Dataset in CPU mode",
    "Failed to load all NVIDIA GPU",
    "Running on a single-machine scheduler",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings that are not about the user's data; all others are still shown."""
    with warnings.catch_warnings():
        for message in _NOISE:
            warnings.filterwarnings("ignore", message=message)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", message="\nA value is trying to be set on a copy")
        yield

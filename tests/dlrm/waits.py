"""Finds what would wait for a GPU, on tensors of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = (
    "aten._local_scalar_dense",  # item(), int(), bool(), …
    "aten.equal",
    "aten.is_nonzero",
    "aten.nonzero",
    "aten.masked_select",
    "aten._unique2",
    "aten.unique_dim",
    "aten.lift_fresh",  # torch.tensor(…): a copy from memory that is not pinned
)


class _Found(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self._found = found

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = str(function).rsplit(".", 1)[0]
        masks = (
            [t for t in args[1] if t is not None and t.dtype == torch.bool]
            if (name in ("aten.index", "aten.index_put", "aten.index_put_"))
            else []
        )
        unsized = name == "aten.repeat_interleave" and kwargs.get("output_size") is None
        if name in WAITS or masks or unsized:
            self._found.append(name)
        return function(*args, **kwargs)


@contextmanager
def waits() -> Iterator[list[str]]:
    """Collects the names of the calls inside the block that wait for a GPU."""
    found: list[str] = []

    def noting(name: str) -> Any:
        method = getattr(Tensor, name)

        def noted(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            found.append(name)
            return method(self, *args, **kwargs)

        return patch.object(Tensor, name, noted)

    with _Found(found), noting("tolist"), noting("numpy"), noting("cpu"):
        yield found

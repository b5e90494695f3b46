"""Dropout whose zeros depend only on seed and step, so a resumed run repeats them.

Legend: B rows, I width of a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline.dlrm.ops.random_bits import step_keys


class Dropout:
    """The dropout of one step: zeroes a share of the numbers and scales up the rest.

    Each call draws new zeros, so one object serves all layers of a step.

    >>> ones_BI = torch.ones(2, 100)
    >>> torch.equal(Dropout(0.5, 1, 7, ones_BI.device)(ones_BI),
    ...             Dropout(0.5, 1, 7, ones_BI.device)(ones_BI))
    True
    """

    def __init__(self, share: float, seed: int, step: int, device: torch.device) -> None:
        low, high = step_keys(seed, step)
        self._kept = 1 - share
        self._generator = torch.Generator(device).manual_seed(high << 32 | low)

    def __call__(self, hidden_BI: Tensor) -> Tensor:
        kept_BI = torch.empty_like(hidden_BI).bernoulli_(self._kept, generator=self._generator)
        return hidden_BI * kept_BI.div_(self._kept)

"""Which epoch's weights are kept, and when training ends: decided by the epochs' log losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Training ends after `patience` epochs in a row without a better validation log loss.

    All of it follows from the log losses so far, so a resumed run decides alike.
    """

    patience: int

    @staticmethod
    def best(losses: Sequence[float]) -> int:
        """Position of the best epoch: the first of the smallest log losses.

        >>> EarlyStopping.best([0.5, 0.4, 0.45, 0.4])
        1
        """
        return min(range(len(losses)), key=losses.__getitem__)

    def ends(self, losses: Sequence[float]) -> bool:
        """Whether training ends after these epochs.

        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.ends(losses) for losses in ([0.5], [0.5, 0.6], [0.5, 0.6, 0.5])]
        [False, False, True]
        """
        return bool(losses) and len(losses) - 1 - self.best(losses) >= self.patience

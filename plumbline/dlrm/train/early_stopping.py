"""Choice of the epoch whose weights are kept, and the end of training, by the log losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Training ends after `patience` epochs in a row without a better validation log loss.

    Decisions depend only on the log losses so far, so a resumed run makes the same ones.
    """

    patience: int

    @staticmethod
    def best(losses: Sequence[float]) -> int:
        """Index of the best epoch: the first with the smallest log loss.

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

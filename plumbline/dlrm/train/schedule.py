"""The learning rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plumbline.settings import Training


@dataclass(frozen=True, slots=True)
class Schedule:
    """Linear warm-up, constant, then polynomial decay to zero; lengths are shares of the steps.

    With w = warmup_share · steps, d = decay_share · steps and p = decay_power, step k, counted from
    0, has the factor min(1, (k+1)/w) · min(1, (steps-k)/d)^p.
    """

    steps: int
    warmup_share: float
    decay_share: float
    decay_power: float

    @classmethod
    def of(cls, training: Training, steps: int) -> Schedule:
        """The schedule for this total number of steps."""
        return cls(steps, training.warmup_share, training.decay_share, training.decay_power)

    def factor(self, step: int) -> float:
        """The factor of the learning rates in this step, counted from 0.

        >>> schedule = Schedule(steps=10, warmup_share=0.2, decay_share=0.4, decay_power=2.0)
        >>> [schedule.factor(step) for step in (0, 1, 5, 6, 8)]
        [0.5, 1.0, 1.0, 1.0, 0.25]
        """
        warmup, decay = self.warmup_share * self.steps, self.decay_share * self.steps
        rising = 1.0 if warmup == 0 else min(1.0, (step + 1) / warmup)
        falling = 1.0 if decay == 0 else min(1.0, (self.steps - step) / decay)
        return rising * math.pow(falling, self.decay_power)

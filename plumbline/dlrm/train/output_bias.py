"""Fit the output bias so that the model's mean score equals the training rows' click rate.

If clicks are rare, most batches have none. Adam normalizes by the size of the gradients and so
follows these batches, and the bias ends too low. With all other weights fixed, the log loss over
the training rows is smallest when their mean score equals their click rate.

Legend: B rows.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline.columns.values import Lists
from plumbline.dlrm.data.loader import DataLoader
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.score.scorer import Scorer

FARTHEST = 20.0
"""Largest shift, in log-odds."""
HALVINGS = 60


def fit_output_bias(model: DLRM, loader: DataLoader, logit_offset: float = 0.0) -> float:
    """Shift the model's output bias in place; returns the shift.

    Parameters
    ----------
    logit_offset
        Added to each logit before it is compared with the loader's clicks; see
        `plumbline.dlrm.train.trainer.Trainer`.
    """
    scorer = Scorer.of(model)
    clicks, scores = [], []
    with closing(loader.batches()) as batches:
        for batch in batches:
            bags = [
                Lists(ids_N.cpu().numpy(), offsets_B1.cpu().numpy())
                for ids_N, offsets_B1 in batch.bags
            ]
            ids_BF, dense_BC = batch.ids_BF.cpu().numpy(), batch.dense_BC.cpu().numpy()
            scores.append(scorer.score(ids_BF, dense_BC, bags))
            clicks.append(batch.click_B.cpu().numpy())
    probability_B = np.concatenate(scores).astype(np.float64)
    least = float(np.finfo(np.float32).tiny)
    probability_B = probability_B.clip(least, 1 - float(np.finfo(np.float32).epsneg))
    logit_B = np.log(probability_B) - np.log1p(-probability_B) + logit_offset
    shift = shift_of(logit_B, float(np.concatenate(clicks).sum()))
    with torch.no_grad():
        model.last.bias.add_(shift)
    return shift


def shift_of(logit_B: NDArray[np.float64], clicks: float) -> float:
    """The shift that makes the mean probability of these rows the rate of their clicks."""
    return shift_to(logit_B, (clicks + 0.5) / (len(logit_B) + 1))


def shift_to(logit_B: NDArray[np.float64], rate: float) -> float:
    """The shift of all logits that makes their mean probability `rate`, within ±20.

    >>> round(shift_to(np.zeros(3), 0.25), 6) == round(float(np.log(0.25 / 0.75)), 6)
    True
    """
    low, high = -FARTHEST, FARTHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if float(np.mean(_sigmoid(logit_B + middle))) < rate:
            low = middle
        else:
            high = middle
    return low


def _sigmoid(logit_B: NDArray[np.float64]) -> NDArray[np.float64]:
    halves: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logit_B))
    return halves

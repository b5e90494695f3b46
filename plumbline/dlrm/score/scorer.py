"""Click probabilities from encoded rows. Imports torch only without a native module.

Legend: B rows, F columns with one id a row, C continuous columns, N ids of a list column.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.model_card import CARD_FILE, WEIGHTS_FILE, ModelCard, read_model_card
from plumbline.dlrm.model.weight_shapes import check_shapes, int8_shapes, weight_shapes
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.contract import Scoring
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.dlrm.score.native_scoring import int8_scoring, native_scoring
from plumbline.dlrm.score.row_checks import RowChecks
from plumbline.dlrm.tensors.mapped_tensors import map_tensors, shapes_of

if TYPE_CHECKING:
    from plumbline.columns.values import Lists
    from plumbline.dlrm.model.dlrm import DLRM


class Scorer:
    """A model for inference.

    On a CPU with the native module a row's probability depends only on that row: it has the same
    bits in any batch, at any position, with any number of threads. Calls are thread-safe.

    `precision` is that of the layers' products. In bf16, weights, activations and embeddings are
    rounded to bfloat16, as in bf16 training. Sums are float32. In int8 they are quantized, and
    every processor gives the same bits: see `plumbline.dlrm.ops.scoring.int8_reference`.
    """

    def __init__(
        self, architecture: Architecture, precision: ScoringPrecision, scoring: Scoring
    ) -> None:
        self.architecture = architecture
        self.precision = precision
        self._scoring = scoring
        self._checks = RowChecks(architecture)

    @classmethod
    def load(
        cls,
        folder: Path,
        expected_plan_hash: str | None,
        *,
        precision: ScoringPrecision = "fp32",
        threads: int | None = None,
    ) -> Scorer:
        """Load a model folder and check its files.

        Parameters
        ----------
        threads
            Threads per call on a CPU; None means the number of cores available to the process.

        Raises
        ------
        ModelError
            The model is damaged, is of another feature plan than expected (None accepts any), or is
            quantized and the precision is not int8.
        """
        card = card_to_score(folder, expected_plan_hash, precision)
        module = cpu_module()
        if module is None and precision != "int8":
            from plumbline.dlrm.model.weights import load_model

            return cls.of(load_model(folder), precision=precision, threads=threads)
        scoring = _mapped(module, folder / WEIGHTS_FILE, card, precision, threads)
        return cls(card.architecture, precision, scoring)

    @classmethod
    def of(
        cls, model: DLRM, *, precision: ScoringPrecision = "fp32", threads: int | None = None
    ) -> Scorer:
        """Use a model in memory, on its device; shares its tables' memory."""
        from plumbline.dlrm.score.torch_scoring import scoring_of

        return cls(model.architecture, precision, scoring_of(model, precision, threads))

    def score(
        self,
        ids_BF: NDArray[np.int64],
        dense_BC: NDArray[np.float32],
        bags: Sequence[Lists] = (),
    ) -> NDArray[np.float32]:
        """probability_B, float32, from int64 (B, F) and float32 (B, C), both in plan order.

        `bags` are the list columns in plan order, each with int64 ids as values.

        Raises
        ------
        ModelError
            A shape or dtype is wrong, or an id is out of range.
        """
        self._checks.require_inputs(ids_BF, dense_BC, bags)
        probability_B = self._scoring.score(ids_BF, dense_BC, bags)
        if probability_B is None:
            raise self._checks.bad_id(ids_BF, bags)
        return probability_B


def card_to_score(
    folder: Path, expected_plan_hash: str | None, precision: ScoringPrecision
) -> ModelCard:
    """The card of a model folder; raises ModelError as `Scorer.load`."""
    card = read_model_card(folder)
    if expected_plan_hash is not None and card.plan_hash != expected_plan_hash:
        raise ModelError.other_plan(str(folder / CARD_FILE), expected_plan_hash, card.plan_hash)
    if card.quantized_from is not None and precision != "int8":
        raise ModelError.quantized(str(folder / CARD_FILE), f"a model to score in {precision}")
    return card


def _mapped(
    module: ModuleType | None,
    file: Path,
    card: ModelCard,
    precision: ScoringPrecision,
    threads: int | None,
) -> Scoring:
    """The tables stay in the mapped file, unless trained ones are quantized here."""
    weights = map_tensors(file, card.weights_sha256)
    wanted = weight_shapes if card.quantized_from is None else int8_shapes
    check_shapes(wanted(card.architecture), shapes_of(weights), str(file))
    if precision == "int8" or module is None:
        return int8_scoring(module, card.architecture, weights, threads)
    return native_scoring(module, card.architecture, weights, precision, threads)

"""Errors that a user can act on.

Every message is one line: what was wanted, what came, where, and what to do. The commands print it
and end with exit status 2; anything else that is raised is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence


class PlumblineError(Exception):
    """Base of all errors whose cause lies in the input, the settings or the machine."""


class ConfigError(PlumblineError):
    """The configuration is not usable."""

    @classmethod
    def invalid(cls, file: str, problems: Sequence[str]) -> ConfigError:
        return cls(f"{file}: " + "; ".join(problems))

    @classmethod
    def unreadable(cls, file: str, reason: str) -> ConfigError:
        return cls(f"{file}: wanted a YAML configuration, but {reason}.")

    @classmethod
    def tables_too_large(
        cls, needed: int, available: int, largest: Sequence[tuple[str, int]]
    ) -> ConfigError:
        """Sizes in bytes; `largest` are names of columns and the sizes of their tables."""
        names = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in largest)
        return cls(
            f"Embedding tables: wanted memory for {needed / 1e9:.2f} GB of rows and optimizer "
            f"state, but {available / 1e9:.2f} GB is available. The largest tables: {names}. Set "
            "rows: bf16, lower model.embedding_dim, or raise frequency_threshold of these columns."
        )


class DataError(PlumblineError):
    """A log, a side table or a split is not usable."""

    @classmethod
    def not_computable(
        cls, column: str, split: str, row: int, came: float, largest: float
    ) -> DataError:
        """An encoded number that no model can be trained on, and that no row can be scored with."""
        where = f"Column {column!r}, row {row + 1} of the encoded split {split}"
        if split == "probe":
            where += " (test rows, and copies with missing values as a server may get them)"
        if math.isnan(came):
            return cls(
                f"{where}: the number is missing after the graph, and a model has no score for it. "
                "Fill missing numbers in the workflow's graph (workflow.options.fill with a number, "
                "or a FillMissing before the other operators), or leave the column out."
            )
        size = "is infinite" if math.isinf(came) else f"is {came:.3g}"
        return cls(
            f"{where}: wanted numbers between -{largest:.0g} and {largest:.0g} after the graph, "
            f"but this one {size}, and the model's float32 overflows. Clip the column "
            "(workflow.options.clip_min and clip_max, or a Clip in the graph), take its logarithm, "
            "or leave it out."
        )


class PlanError(PlumblineError):
    """A feature plan is damaged, too new, or does not fit the data."""

    @classmethod
    def damaged(cls, file: str, wanted: str, came: str) -> PlanError:
        return cls(
            f"{file}: wanted SHA-256 {wanted[:12]}…, found {came[:12]}…: "
            "the file was changed after the plan was written. Run the etl stage again."
        )

    @classmethod
    def missing(cls, file: str) -> PlanError:
        return cls(f"{file}: missing from the feature plan. Run the etl stage again.")

    @classmethod
    def unreadable(cls, file: str, reason: str) -> PlanError:
        return cls(f"{file}: not a feature plan: {reason}. Run the etl stage again.")

    @classmethod
    def newer_format(cls, file: str, came: int, supported: int) -> PlanError:
        return cls(
            f"{file}: format version {came}, but this Plumbline reads {supported}. "
            "Upgrade Plumbline, or write the plan with this version."
        )

    @classmethod
    def columns_differ(cls, missing: Iterable[str], unexpected: Iterable[str]) -> PlanError:
        lacking, extra = sorted(missing), sorted(unexpected)
        parts = [f"missing {', '.join(lacking)}"] if lacking else []
        parts += [f"unexpected {', '.join(extra)}"] if extra else []
        return cls("The columns do not fit the feature plan: " + "; ".join(parts) + ".")

    @classmethod
    def wrong_type(cls, column: str, wanted: str, came: str) -> PlanError:
        return cls(f"Column {column!r}: the feature plan wants {wanted}, got {came}.")


class UnsupportedOperator(PlumblineError):
    """A workflow uses an operator that has no compiled form."""

    @classmethod
    def in_workflow(
        cls, operator: str, columns: Iterable[str], supported: Iterable[str]
    ) -> UnsupportedOperator:
        names = ", ".join(repr(column) for column in columns)
        return cls(
            f"Column {names} uses {operator}, which has no compiled form. "
            f"Supported: {', '.join(sorted(supported))}. Replace it in the workflow."
        )


class StageError(PlumblineError):
    """A stage cannot start, or what it made before does not fit any more."""


class ModelError(PlumblineError):
    """A trained model is damaged, too new, or does not fit the plan or its inputs."""

    @classmethod
    def missing(cls, file: str) -> ModelError:
        return cls(f"{file}: missing from the model. Run the train stage again.")

    @classmethod
    def damaged(cls, file: str, wanted: str, came: str) -> ModelError:
        return cls(
            f"{file}: wanted SHA-256 {wanted[:12]}…, found {came[:12]}…: "
            "the file was changed after the model was written. Run the train stage again."
        )

    @classmethod
    def unreadable(cls, file: str, reason: str) -> ModelError:
        return cls(f"{file}: not a trained model: {reason}. Run the train stage again.")

    @classmethod
    def other_format(cls, file: str, came: int, supported: int) -> ModelError:
        return cls(
            f"{file}: format version {came}, but this Plumbline reads {supported}. "
            "Train the model with this version, or use the Plumbline that wrote it."
        )

    @classmethod
    def other_plan(cls, file: str, wanted: str, came: str) -> ModelError:
        return cls(
            f"{file}: wanted a model of feature plan {wanted[:12]}…, found one of {came[:12]}…. "
            "Train it again on this plan."
        )

    @classmethod
    def wrong_input(cls, tensor: str, wanted: str, came: str) -> ModelError:
        return cls(f"{tensor}: the model wants {wanted}, got {came}.")

    @classmethod
    def no_score(cls, row: int, largest: tuple[str, float] | None) -> ModelError:
        """`largest` is the row's number that is farthest from 0, and its column."""
        number = "" if largest is None else f" (its largest number is {largest[1]:.3g}, in column "
        number += "" if largest is None else f"{largest[0]!r})"
        return cls(
            f"Row {row + 1} of the encoded split has no score: the model gives NaN for it{number}. "
            "Its weights have overflowed in training: lower training.learning_rate and "
            "training.embedding_learning_rate, and clip or normalize large numbers in the "
            "workflow's graph. Then run again with --from etl."
        )

    @classmethod
    def id_out_of_range(cls, column: str, came: int, cardinality: int) -> ModelError:
        return cls(
            f"Column {column!r}: the model has ids 0 to {cardinality - 1}, got {came}. "
            "Encode the rows with the feature plan that the model was trained on."
        )


class RepositoryError(PlumblineError):
    """A model repository is damaged, or a version does not fit into it."""

    @classmethod
    def missing(cls, file: str) -> RepositoryError:
        return cls(f"{file}: missing. Export the model repository again.")

    @classmethod
    def damaged(cls, file: str, wanted: str, came: str) -> RepositoryError:
        return cls(
            f"{file}: wanted SHA-256 {wanted[:12]}…, found {came[:12]}…: "
            "the file was changed after the export. Export the model repository again."
        )

    @classmethod
    def unreadable(cls, file: str, wanted: str, reason: str) -> RepositoryError:
        return cls(f"{file}: wanted {wanted}, but {reason}. Export the model repository again.")


class ServerError(PlumblineError):
    """The Triton server cannot be found, started or reached."""


class ServerUnavailable(ServerError):
    """The server cannot be reached, or takes no more requests now; the same one may pass later."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or all of them.

    >>> nearest("epoch", ["epochs", "batch_size"])
    "did you mean 'epochs'?"
    >>> nearest("x", ["epochs", "batch_size"])
    'known: batch_size, epochs'
    """
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(candidates)}"

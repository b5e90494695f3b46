"""Errors of a trained model."""

from __future__ import annotations

from plumbline.base.errors import ArtifactError


class ModelError(ArtifactError):
    """A trained model is damaged, too new, or does not fit the plan or its inputs."""

    kind = "a trained model"
    whole = "the model"
    written = "the model was written"
    remedy = "Run the train stage again."

    @classmethod
    def other_format(cls, file: str, got: int, supported: str) -> ModelError:
        return cls(
            f"{file}: format version {got}, but this Plumbline reads {supported}. "
            "Train the model with this version, or use the Plumbline that wrote it."
        )

    @classmethod
    def other_plan(cls, file: str, wanted: str, got: str) -> ModelError:
        return cls(
            f"{file}: wanted a model of feature plan {wanted[:12]}…, found one of {got[:12]}…. "
            "Train it again on this plan."
        )

    @classmethod
    def quantized(cls, file: str, wanted: str) -> ModelError:
        return cls(
            f"{file}: wanted {wanted}, found one in int8, which has no float weights. Use the "
            "model that the train stage wrote, or serving.precision int8."
        )

    @classmethod
    def wrong_input(cls, tensor: str, wanted: str, got: str) -> ModelError:
        return cls(f"{tensor}: the model wants {wanted}, got {got}.")

    @classmethod
    def no_score(cls, row: int, largest: tuple[str, float] | None) -> ModelError:
        """`largest` is the row's number of largest magnitude, and its column."""
        number = "" if largest is None else f" (its largest number is {largest[1]:.3g}, in column "
        number += "" if largest is None else f"{largest[0]!r})"
        return cls(
            f"Row {row + 1} of the encoded split has no score: the model returns NaN{number}. Its "
            "weights have overflowed in training: lower training.learning_rate and "
            "training.embedding_learning_rate, and clip or normalize large numbers in the "
            "workflow's graph. Then run again with --from etl."
        )

    @classmethod
    def id_out_of_range(cls, column: str, got: int, cardinality: int) -> ModelError:
        return cls(
            f"Column {column!r}: the model has ids 0 to {cardinality - 1}, got {got}. "
            "Encode the rows with the feature plan that the model was trained on."
        )

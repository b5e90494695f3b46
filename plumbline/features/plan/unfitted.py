"""A plan before the training split was seen: its steps name what is still to be found out."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from plumbline.features.plan.chains import Chain, Source
from plumbline.features.plan.plan import InputColumn

Statistic = Literal["count", "sum", "mean", "std", "var", "min", "max"]


@dataclass(frozen=True, slots=True)
class FitStep:
    """A step that is still to be fitted, on what the steps before it give."""

    gives: ClassVar[Literal["number", "ids"]] = "number"


@dataclass(frozen=True, slots=True)
class FitCategorify(FitStep):
    """To become `Categorify`: the values seen at least `frequency_threshold` times.

    Of these the `limit` most frequent where it is given. `shared` are the sources whose values are
    counted together where several columns share the vocabulary; None is the column itself.
    """

    gives = "ids"
    frequency_threshold: int = 0
    limit: int | None = None
    num_buckets: int = 1
    shared: tuple[Source, ...] | None = None


@dataclass(frozen=True, slots=True)
class FitNormalize(FitStep):
    """To become `Normalize` with mean and deviation (of n - 1 degrees of freedom)."""


@dataclass(frozen=True, slots=True)
class FitNormalizeMinMax(FitStep):
    """To become `NormalizeMinMax` with the smallest and the largest number."""


@dataclass(frozen=True, slots=True)
class FitMedian(FitStep):
    """To become `FillMissing` with the median, the mean of the middle two where there are two."""


@dataclass(frozen=True, slots=True)
class FitQuantileBucketize(FitStep):
    """To become `Bucketize` with at most `buckets` of about as many rows, missing ones apart.

    There are fewer where they would have less than `rows_each` rows, but not fewer than two.
    """

    gives = "ids"
    buckets: int
    rows_each: int = 1


@dataclass(frozen=True, slots=True)
class FitQuantileTransform(FitStep):
    """To become `Interpolate`: the normal score of a number's rank, between `knots` numbers."""

    knots: int


FitQuantiles: TypeAlias = FitQuantileBucketize | FitQuantileTransform


@dataclass(frozen=True, slots=True)
class FitGroupStatistic(FitStep):
    """To become `KeyedValue`: a statistic of `measured` over the rows that share a key.

    `count` counts rows, and takes no `measured`; the others pass over missing numbers. `std` and
    `var` are of n - 1 degrees of freedom. A missing key is a key of its own.
    """

    statistic: Statistic
    measured: Source | None


@dataclass(frozen=True, slots=True)
class FitTargetEncoding(FitStep):
    """To become `KeyedValue`: (sum + smoothing · mean) / (count + smoothing) of a key's rows.

    `mean` is the target's mean over all rows where it is not given. A training row gets the value
    of the rows outside of its own fold; its fold is drawn from `seed` and its number.
    """

    target: Source
    smoothing: float
    folds: int
    seed: int
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class UnfittedColumn:
    """An output column, and how it is made.

    It is left out of the fitted plan where its largest id is below `minimum_cardinality`.
    """

    name: str
    chain: Chain
    minimum_cardinality: int | None = None


@dataclass(frozen=True, slots=True)
class UnfittedPlan:
    """What `plumbline.nvtabular.compile.compile_unfitted` gives, and what an engine fits."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[UnfittedColumn, ...]


def unfitted_json(plan: UnfittedPlan) -> dict[str, Any]:
    """The plan as JSON: every input, and every output with its sources, steps and parameters."""
    form: dict[str, Any] = _json(plan)
    return form


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if not is_dataclass(value):
        return value
    form = {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    return {"type": type(value).__name__, **form}

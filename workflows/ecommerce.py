"""The graph for a shop's log of events: dates, parts of a category's path, crosses, prices."""

from __future__ import annotations

from collections.abc import Mapping

from nvtabular import WorkflowNode, ops
from pydantic import NonNegativeInt, PositiveInt

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.expressions import Cosine, DatePart, Divide, RangeIds, Sine, SplitPart


def graph(
    kinds: Mapping[str, FeatureKind],
    *,
    time: str = "event_time",
    user: str = "user_id",
    product: str = "product_id",
    brand: str = "brand",
    category: str = "category_code",
    price: str = "price",
    frequency_threshold: NonNegativeInt = 0,
    cross_buckets: PositiveInt = 1000,
    folds: PositiveInt = 5,
    smoothing: float = 20,
) -> WorkflowNode:
    """The options name the columns: a time, a number (`price`), text (`brand`, `category`), keys.

    A category is a path such as "electronics.audio.headphone"; a missing one is a category too.
    """
    ids = [user, product, brand] >> ops.Categorify(freq_threshold=frequency_threshold)
    path = [category] >> ops.FillMissing("none")
    top = path >> SplitPart(".", 0) >> ops.Rename(name="department")
    parts = [time] >> DatePart("hour", "day_of_week")
    hour, weekday = f"{time}_hour", f"{time}_day_of_week"
    calendar = (parts[hour] >> RangeIds(0, 23)) + (parts[weekday] >> RangeIds(0, 6))
    crossed = (top + brand) >> ops.HashedCross(cross_buckets)
    busy = (top + parts[hour]) >> ops.HashedCross(cross_buckets)
    categories = ids + ((path + top) >> ops.Categorify()) + calendar + crossed + busy

    sine = parts[hour] >> Sine(24) >> ops.Rename(name="hour_sine")
    cosine = parts[hour] >> Cosine(24) >> ops.Rename(name="hour_cosine")
    paid = [price] >> ops.FillMedian() >> ops.Clip(min_value=0)
    usual = path >> ops.JoinGroupby(cont_cols=[price], stats=["mean"])
    relative = (paid + usual) >> Divide(name="relative_price", by_zero=1.0)
    rates = [product, [user, brand]] >> ops.TargetEncoding(CLICK, kfold=folds, p_smooth=smoothing)
    numbers = (paid >> ops.LogOp()) + (relative >> ops.FillMissing(1.0)) + rates
    return categories + sine + cosine + (numbers >> ops.Normalize())

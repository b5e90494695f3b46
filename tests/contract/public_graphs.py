"""Own graphs of the operators that 34 public example notebooks of NVTabular and Merlin use.

They are no copies of the notebooks' graphs: they are written anew, over one log, and kept short.
What matters is which operators follow each other. `form` says what has to change in a notebook
with such operators. Nine notebooks group the rows of a session (`Groupby`), which no server can
do for one row: there the log has the session as list columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import typed_schema
from plumbline.expressions import (
    Add,
    Cast,
    Compare,
    Cosine,
    CountSubstring,
    DatePart,
    Divide,
    ListLength,
    SecondsBetween,
    SecondsSince,
    Sine,
    Substring,
    Subtract,
    Where,
)
from plumbline.nvtabular.library import ColumnSelector, Operator, Subgraph, Tags, ops

Form = Literal["as written", "named expressions", "list columns", "refused"]

KINDS: dict[str, FeatureKind] = {
    "user": "integer",
    "item": "hex",
    "brand": "string",
    "shop": "string",
    "price": "continuous",
    "usual": "continuous",
    "clicks": "continuous",
    "seen": "time",
    "made": "time",
    "genres": "string_list",
    "viewed": "integer_list",
}
IDS = ["user", "item", "brand", "shop"]
NUMBERS = ["price", "usual", "clicks"]


@dataclass(frozen=True)
class Example:
    form: Form
    graph: Callable[[], Any]
    refusal: str = ""
    """A part of the message, if the graph is refused."""


def log(rows: int, seed: int) -> pa.Table:
    """Rows with missing values in every column."""
    rng = np.random.default_rng(seed)

    def some(values: list[Any]) -> list[Any]:
        return [None if rng.random() < 0.1 else value for value in values]

    columns = {
        "user": rng.integers(0, 30, rows).tolist(),
        "item": rng.integers(2**40, 2**40 + 12, rows).tolist(),
        "brand": [f"brand {n}" for n in rng.integers(0, 8, rows)],
        "shop": [f"DE>{n:02d}>x" for n in rng.integers(0, 5, rows)],
        "price": rng.gamma(2.0, 20.0, rows).round(2).tolist(),
        "usual": rng.gamma(2.0, 20.0, rows).round(2).tolist(),
        "clicks": rng.integers(-1, 50, rows).astype(float).tolist(),
        "seen": (1_600_000_000_000_000 + rng.integers(0, 10**14, rows)).tolist(),
        "made": (1_500_000_000_000_000 + rng.integers(0, 10**14, rows)).tolist(),
        "genres": [[f"g{n}" for n in rng.integers(0, 6, rng.integers(0, 4))] for _ in range(rows)],
        "viewed": [rng.integers(0, 20, rng.integers(0, 6)).tolist() for _ in range(rows)],
    }
    table = {name: some(values) for name, values in columns.items()}
    return pa.table(
        {**table, "click": rng.integers(0, 2, rows).tolist()}, schema=typed_schema(KINDS)
    )


def criteo() -> Any:
    logs = NUMBERS >> ops.FillMissing() >> ops.Clip(min_value=0) >> ops.LogOp() >> ops.Normalize()
    return (IDS >> ops.Categorify(max_size=10)) + logs


def criteo_rare() -> Any:
    logs = NUMBERS >> ops.FillMissing() >> ops.Clip(min_value=0) >> ops.LogOp()
    return (IDS >> ops.Categorify(freq_threshold=6, num_buckets=3)) + logs


def criteo_hashed() -> Any:
    return (IDS >> ops.HashBucket(100)) + (NUMBERS >> ops.FillMissing() >> ops.NormalizeMinMax())


def rossmann() -> Any:
    logs = ["price", "usual"] >> ops.FillMissing() >> ops.LogOp() >> ops.Normalize()
    return (IDS >> ops.Categorify()) + logs


def movielens_ids() -> Any:
    return ["user", "item"] >> ops.Categorify()


def movielens_genres() -> Any:
    return (["user", "item", "genres"] >> ops.Categorify()) + ["click"]


def shared_ids() -> Any:
    return [["brand", "shop"], "user"] >> ops.Categorify(encode_type="joint")


def combined_ids() -> Any:
    return [["brand", "shop"], ["user", "item"]] >> ops.Categorify(encode_type="combo")


def tagged() -> Any:
    user = ["user"] >> ops.Categorify(dtype="int32") >> ops.TagAsUserID()
    item = ["item", "brand"] >> ops.Categorify(dtype="int32") >> ops.TagAsItemFeatures()
    return user + item + (["click"] >> ops.AddMetadata(tags=[Tags.TARGET]))


def by_tag() -> Any:
    numbers = ColumnSelector(tags=[Tags.CONTINUOUS]) >> ops.FillMedian() >> ops.Normalize()
    return numbers + (["brand"] >> ops.Categorify() >> ops.AddTags([Tags.ITEM]))


def bought_counts() -> Any:
    counts = ["user", "item"] >> ops.JoinGroupby(cont_cols=["price"], stats=["count", "sum"])
    return (counts >> ops.FillMissing() >> ops.LogOp()) + (IDS >> ops.Categorify())


def smaller() -> Any:
    return (NUMBERS >> ops.FillMissing() >> ops.ReduceDtypeSize()) + (["brand"] >> ops.Categorify())


def encoded_targets() -> Any:
    rates = ["user", ["brand", "shop"]] >> ops.TargetEncoding("click", kfold=5, p_smooth=20)
    return rates + (["item"] >> ops.Categorify()) - ["item"] + (["item"] >> ops.Categorify())


def two_branches() -> Any:
    return (IDS >> ops.Categorify()) + (["user", "item"] >> ops.Categorify(freq_threshold=3))


def crossed() -> Any:
    return ([["brand", "shop"]] >> ops.HashedCross(50)) + (["price"] >> ops.Bucketize([10, 40]))


def multi_stage() -> Any:
    user = Subgraph("user", (["user"] >> ops.Categorify()) + (["usual"] >> ops.FillMissing()))
    item = Subgraph("item", (["item", "brand"] >> ops.Categorify()) + (["price"] >> ops.LogOp()))
    return user + item + ["click"]


def filled_text() -> Any:
    return IDS[2:] >> ops.FillMissing("UNKNOWN") >> ops.Categorify()


def complete_rows() -> Any:
    return (NUMBERS + IDS) >> ops.Dropna() >> ops.AddMetadata() >> ops.HashBucket(1000)


def liked() -> Any:
    return (["clicks"] >> Compare(">", 3) >> ops.FillMissing()) + movielens_genres()


def hour_and_day() -> Any:
    parts = ["seen"] >> DatePart("hour", "day_of_week", "month")
    return (parts >> ops.Categorify()) + (IDS >> ops.Categorify())


def tweets() -> Any:
    parts = ["seen"] >> DatePart("hour", "day_of_week")
    media = ["shop"] >> CountSubstring(">") >> Cast("number") >> ops.Rename(postfix="_media")
    rates = ["user", "brand"] >> ops.TargetEncoding("click", kfold=3, p_smooth=10)
    return (parts >> ops.Categorify()) + media + rates + (["usual"] >> ops.FillMissing())


def ages() -> Any:
    age = ["made", "seen"] >> SecondsBetween("age") >> ops.FillMissing() >> ops.Normalize()
    return age + (["price"] >> ops.FillMissing() >> ops.LogOp())


def publisher() -> Any:
    country = ["shop"] >> Substring(0, 2) >> ops.Rename(postfix="_country")
    state = ["shop"] >> Substring(0, 5) >> ops.Rename(postfix="_state")
    return ((country + state) >> ops.Categorify()) + (["seen"] >> SecondsSince("2020-09-13"))


def relative_price() -> Any:
    ratio = ["price", "usual"] >> Divide(name="ratio", by_zero=0.0)
    less = ["price", "usual"] >> Subtract(name="less")
    return (ratio + less) >> ops.FillMissing() >> ops.Normalize()


def positive_times() -> Any:
    kept = ["user", "item", "seen"] >> ops.Filter(Where("seen", ">", "1970-01-01"))
    return kept[["user", "item"]] >> ops.Categorify()


def last_views() -> Any:
    return ["viewed", "genres"] >> ops.Categorify() >> ops.ListSlice(-3)


def first_views() -> Any:
    return (["viewed"] >> ops.ListSlice(3) >> ops.Categorify()) + (["user"] >> ops.HashBucket(20))


def padded_views() -> Any:
    """Without the sessions of one view."""
    count = ["viewed"] >> ListLength() >> ops.Rename(postfix="_count")
    kept = (count + "viewed") >> ops.Filter(Where("viewed_count", ">=", 2))
    return (kept["viewed"] >> ops.Categorify() >> ops.ListSlice(4, pad=True)) + kept["viewed_count"]


def counted_views() -> Any:
    return ["viewed", "genres"] >> ops.Categorify(freq_threshold=2) >> ops.ValueCount()


def views_by_hour() -> Any:
    hour = ["seen"] >> DatePart("hour")
    sine = hour >> Sine(24) >> ops.Rename(postfix="_sine")
    return sine + (hour >> Cosine(24) >> ops.Rename(postfix="_cosine")) + last_views()


def views_by_age() -> Any:
    age = ["made", "seen"] >> SecondsBetween("age") >> ops.FillMissing() >> ops.Normalize()
    return age + (["clicks"] >> Add(1) >> ops.Clip(min_value=0) >> ops.LogOp()) + last_views()


def views_on_weekends() -> Any:
    bought = [*IDS, "price", "seen", "viewed"] >> ops.Filter(Where("price", ">", 0))
    weekend = bought["seen"] >> DatePart("weekend") >> Cast("number")
    return (
        weekend
        + (bought[["user", "viewed"]] >> ops.Categorify())
        + (bought["price"] >> ops.LogOp())
    )


def grouped() -> Any:
    return ["user", "item"] >> ops.Groupby(["user"], aggs={"item": ["list", "count"]})


def lagged() -> Any:
    return ["seen"] >> ops.DifferenceLag("user")


class ItemRecency(Operator):
    """An operator that a notebook defines itself."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


def own_operator() -> Any:
    return ["seen"] >> ItemRecency() >> ops.Normalize()


EXAMPLES: dict[str, Example] = {
    **{
        graph.__name__: Example("as written", graph)
        for graph in (
            criteo, criteo_rare, criteo_hashed, rossmann, movielens_ids, movielens_genres,
            shared_ids, combined_ids, tagged, by_tag, bought_counts, smaller, encoded_targets,
            crossed, two_branches, multi_stage, filled_text, complete_rows,
        )
    },
    **{
        graph.__name__: Example("named expressions", graph)
        for graph in (liked, hour_and_day, tweets, publisher, relative_price, positive_times)
    },
    **{
        graph.__name__: Example("list columns", graph)
        for graph in (
            last_views, first_views, padded_views, counted_views, views_by_hour, views_by_age,
            views_on_weekends,
        )
    },
    "lagged": Example("refused", lagged, "DifferenceLag, which has no compiled form"),
    "own_operator": Example("refused", own_operator, "ItemRecency, which has no compiled form"),
    "grouped": Example("refused", grouped, "Put a row's sequence into the log as a list column"),
}  # fmt: skip

"""How well a single column predicts the label: its AUC in the sampled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.rawlogs.inspect.column import Column
from plumbline.rawlogs.inspect.kinds import Guess

_PRIOR_ROWS = 5.0
_ROWS_PER_CLASS = 25_000


def aucs_alone(
    columns: Mapping[str, Column], guesses: Mapping[str, Guess], click: NDArray[np.bool_]
) -> dict[str, float]:
    """Column to its AUC, over enough rows of each class for two digits."""
    chosen = np.sort(
        np.concatenate([_spread(np.flatnonzero(click)), _spread(np.flatnonzero(~click))])
    )
    found = {}
    for name, column in columns.items():
        guess = guesses[name]
        if guess.times is not None:
            seconds = guess.times.seconds.gather(chosen)
            guess = replace(guess, times=replace(guess.times, seconds=seconds))
        column = replace(column, values=column.values.gather(chosen), text=None)
        found[name] = auc_alone(column, guess, click[chosen])
    return found


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `_ROWS_PER_CLASS` of the rows, evenly spread."""
    wanted = min(len(rows), _ROWS_PER_CLASS)
    chosen: NDArray[np.int64] = rows[np.arange(wanted) * len(rows) // max(wanted, 1)]
    return chosen


def auc_alone(column: Column, guess: Guess, click: NDArray[np.bool_]) -> float:
    """At least 0.5: a column that ranks the label in reverse predicts it as well.

    The better of its values and of whether it is missing. A category is scored by its click rate in
    the other half of the rows, so many distinct values alone predict nothing.
    """
    if column.type in ("list", "other", "empty") or click.all() or not click.any():
        return 0.5
    found = _either_way(column.values.is_null().to_numpy().astype(np.float64), click)
    if guess.times is not None:
        scores = guess.times.seconds.fill_null(-1.0).to_numpy()
    elif column.is_number:
        scores = column.values.cast(pl.Float64).fill_null(-np.inf).to_numpy()
    else:
        return max(found, _auc(_rates(column.values, click), click))
    found = max(found, _either_way(scores, click))
    if guess.kind in ("integer", "hex"):
        found = max(found, _auc(_rates(column.values, click), click))
    return found


def _rates(values: pl.Series, click: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows = pl.DataFrame(
        {"value": values, "click": click.astype(np.float64), "half": np.arange(len(click)) % 2}
    )
    prior = float(click.mean())
    seen = rows.group_by("value", "half").agg(pl.col("click").sum(), pl.len().alias("rows"))
    seen = seen.with_columns(half=1 - pl.col("half"))
    joined = rows.select("value", "half").join(
        seen, on=["value", "half"], how="left", nulls_equal=True, maintain_order="left"
    )
    rate = (pl.col("click") + prior * _PRIOR_ROWS) / (pl.col("rows") + _PRIOR_ROWS)
    return joined.select(rate.fill_null(prior)).to_series().to_numpy()


def _either_way(scores: NDArray[np.float64], click: NDArray[np.bool_]) -> float:
    found = _auc(scores, click)
    return max(found, 1.0 - found)


def _auc(scores: NDArray[np.float64], click: NDArray[np.bool_]) -> float:
    """Probability that a click has the higher score; ties count half."""
    ranks = pl.Series(scores).rank("average").to_numpy()
    clicks = int(click.sum())
    others = len(click) - clicks
    return float((ranks[click].sum() - clicks * (clicks + 1) / 2) / (clicks * others))

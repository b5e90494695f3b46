"""Warnings about the encoded data before training, one line per kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from plumbline.dlrm.judgement.columns import NumberRange, SplitSurvey
from plumbline.dlrm.judgement.leaks import Leaks
from plumbline.features.plan.plan import OutputColumn, Plan

NAMED = 5
"""Columns named in a line; the rest are counted."""

FEWEST_ROWS = 100
"""Smallest number of rows for which a share is judged."""

MOST_UNSEEN = 0.5
NEARLY_UNIQUE = 0.9
"""Distinct values per training row with a value, above which a column is nearly unique."""

LARGE = 1e4
"""Numbers of the training split above this magnitude dominate the others."""

OUTSIDE = 100.0
"""Ratio to the training split's largest magnitude (at least 1), above which a number is outside."""

_ALWAYS_THE_SAME = {
    "missing": "missing in every training row",
    "either": "constant: the same number in every training row, or missing in all of them",
    "constant": "constant: one value in every training row",
    "rare": "out of vocabulary in every training row: all of its values are rare",
}

DRIFT = 1.5
SIGNIFICANT = 4.0
"""Standard errors above which two click rates differ."""


def data_warnings(
    plan: Plan,
    surveys: Mapping[str, SplitSurvey],
    leaks: Leaks,
    click_rate: Mapping[str, float],
) -> list[str]:
    """Warnings about the splits train, valid and test: one line each, with columns and remedy.

    `click_rate` is each split's click rate before rows are left out for training.
    """
    train, valid, test = (surveys[split] for split in ("train", "valid", "test"))
    identifiers = _identifiers(plan, train)
    return [
        *_leaks(leaks),
        *_constants(plan, train, identifiers),
        *_nearly_unique(identifiers),
        *_unseen(train, valid, test, identifiers),
        *_large(train, valid, test),
        *_drift(surveys, click_rate),
    ]


def _leaks(leaks: Leaks) -> list[str]:
    return [
        f"Column {suspect.column!r} may leak the click: alone it reaches AUC "
        f"{suspect.alone:.3f} on the validation split, and the best columns "
        f"{suspect.together:.3f} with it but {suspect.without:.3f} without it. Is it known before "
        "the click? If not, make it 'unused'."
        for suspect in leaks.suspects
    ]


def _constants(plan: Plan, train: SplitSurvey, identifiers: Sequence[str]) -> list[str]:
    """Warn of raw columns whose encoded columns are all constant."""
    kinds: dict[str, set[str]] = {}
    for column in plan.outputs:
        values = train.ids.get(column.name) or train.numbers.get(column.name)
        kind = "varied"
        if values is not None and values.is_constant and column.name not in identifiers:
            kind = _always(column, values)
        for source in column.sources:
            kinds.setdefault(source, set()).add(kind)
    names: dict[str, list[str]] = {"constant": [], "rare": [], "missing": [], "either": []}
    for name, column_kinds in kinds.items():
        if "varied" not in column_kinds:
            names[next(kind for kind in names if kind in column_kinds)].append(name)
    return [
        f"{_columns(names[kind])} {what}, so nothing can be learned there. Check name and format, "
        "make it 'unused', or lower workflow.options.frequency_threshold where its values are rare."
        for kind, what in _ALWAYS_THE_SAME.items()
        if names[kind]
    ]


def _always(column: OutputColumn, values: NumberRange) -> str:
    """Key in `_ALWAYS_THE_SAME` of a column with one number or id in every training row."""
    is_missing = values.low == _of_missing(column)
    unseen = column.id_step.unseen_ids if column.is_categorical else range(0)
    if unseen:
        is_rare = unseen.start <= values.low < unseen.stop
        return "missing" if is_missing else "rare" if is_rare else "constant"
    return "either" if is_missing else "constant"  # the number may be the fill value


def _of_missing(column: OutputColumn) -> float:
    """The encoded number of a missing value; NaN if unknown."""
    of_raw = all(isinstance(source, str) for source in column.chain.sources)
    number: float | None = math.nan if of_raw else None
    for step in column.chain.fitted:
        number = step.of_missing(number)
    return math.nan if number is None else float(np.float32(number))


def _identifiers(plan: Plan, train: SplitSurvey) -> list[str]:
    """Id columns whose values are almost all distinct in training."""
    names = []
    for column in plan.categorical:
        ids = train.ids[column.name]
        fewest = column.id_step.fewest_values(ids.unseen)
        if column.is_list or fewest is None:
            continue
        present = ids.count - ids.missing
        if present >= FEWEST_ROWS and fewest >= NEARLY_UNIQUE * present:
            names.append(column.name)
    return names


def _nearly_unique(identifiers: Sequence[str]) -> list[str]:
    if not identifiers:
        return []
    return [
        f"{_columns(identifiers)} nearly unique: almost every training row has its own value, "
        "which says nothing about other rows. Make it 'unused', or use a column with shared values "
        "(a category) instead."
    ]


def _unseen(
    train: SplitSurvey, valid: SplitSurvey, test: SplitSurvey, identifiers: Sequence[str]
) -> list[str]:
    unseen_shares: dict[str, str] = {}
    for split in (test, valid):
        for name, ids in split.ids.items():
            enough = name not in {*unseen_shares, *identifiers} and ids.count >= FEWEST_ROWS
            if enough and ids.unseen_share > MOST_UNSEEN:
                share = train.ids[name].unseen_share
                unseen_shares[name] = (
                    f"{ids.unseen_share:.0%} in {split.name}, {share:.0%} in train"
                )
    if not unseen_shares:
        return []
    shares = [f"{name!r} ({share})" for name, share in unseen_shares.items()]
    return [
        f"Most values are out of vocabulary in {_listed(shares)}: the model has seen none of them. "
        "Lower workflow.options.frequency_threshold if they are rare in training; if new values "
        "keep appearing, use a column that they share (a category, an age) instead."
    ]


def _large(train: SplitSurvey, valid: SplitSurvey, test: SplitSurvey) -> list[str]:
    large = {n: numbers.largest for n, numbers in train.numbers.items() if numbers.largest > LARGE}
    outside: dict[str, str] = {}
    for split in (test, valid):
        for name, numbers in split.numbers.items():
            known = train.numbers[name].largest
            if numbers.largest > OUTSIDE * max(known, 1.0):
                outside[name] = f"{numbers.largest:.3g} in {split.name}, {known:.3g} in train"
    warnings = []
    if large:
        sizes = [f"{name!r} ({size:.3g})" for name, size in large.items()]
        warnings.append(
            f"Numbers are very large after the graph in {_listed(sizes)}: they dominate all "
            "others. Normalize the column, take its logarithm, or clip it "
            "(workflow.options.clip_max)."
        )
    if outside:
        sizes = [f"{name!r} ({size})" for name, size in outside.items()]
        warnings.append(
            f"Numbers are far outside the training range in {_listed(sizes)}: the scores of such "
            "rows are meaningless. Clip the column (workflow.options.clip_min and clip_max), or "
            "split the rows at random (split.by: hash)."
        )
    return warnings


def _drift(surveys: Mapping[str, SplitSurvey], click_rate: Mapping[str, float]) -> list[str]:
    warnings = []
    trained = click_rate["train"]
    for split in ("valid", "test"):
        observed = click_rate[split]
        rate = max(trained, observed)
        sizes = 1 / max(surveys["train"].rows, 1) + 1 / max(surveys[split].rows, 1)
        is_significant = abs(observed - trained) > SIGNIFICANT * math.sqrt(
            rate * (1 - rate) * sizes
        )
        if not trained / DRIFT <= observed <= trained * DRIFT and is_significant:
            warnings.append(
                f"The click rate is {trained:.3%} in training and {observed:.3%} in {split}: the "
                "splits differ, and scores will be off by as much. Train on rows closer to those "
                "that are scored, or split at random (split.by: hash)."
            )
    return warnings


def _columns(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Column {names[0]!r} is"
    return f"Columns {_listed([repr(name) for name in names])} are"


def _listed(words: Sequence[str]) -> str:
    rest = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {rest} more" if rest > 0 else "")

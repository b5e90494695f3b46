"""Warnings about the encoded data, one line a kind, before a model is trained on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from plumbline.dlrm.judgement.columns import NumberRange, SplitSurvey
from plumbline.dlrm.judgement.leaks import Leaks
from plumbline.features.plan.plan import OutputColumn, Plan

NAMED = 5
"""Columns that a line names; of the others it gives the number."""

FEWEST_ROWS = 100
"""Of a split; shares of fewer rows say nothing."""

MOST_UNSEEN = 0.5
NEARLY_UNIQUE = 0.9
"""Distinct values for each training row that has one."""

LARGE = 1e4
"""A number of the training split that swamps the others."""

OUTSIDE = 100.0
"""A number so many times as large as the training split's largest (and as 1)."""

_ALWAYS_THE_SAME = {
    "missing": "missing in every training row",
    "either": "constant: the same number in every training row, or missing in all of them",
    "constant": "constant: one value in every training row",
    "rare": "out of vocabulary in every training row: each of its values is a rare one",
}

DRIFT = 1.5
SIGNIFICANT = 4.0
"""Standard errors."""


def data_warnings(
    plan: Plan,
    surveys: Mapping[str, SplitSurvey],
    leaks: Leaks,
    click_rate: Mapping[str, float],
) -> list[str]:
    """Of the splits train, valid and test; each is one line that names columns and what to do.

    `click_rate` is that of each split's rows, before any were left out for training.
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
        f"Column {suspect.column!r} may know the click (a leak): alone it reaches AUC "
        f"{suspect.alone:.3f} on the validation split, and the best columns "
        f"{suspect.together:.3f} with it but {suspect.without:.3f} without it. Is it known before "
        "the click? If not, make it 'unused'."
        for suspect in leaks.suspects
    ]


def _constants(plan: Plan, train: SplitSurvey, identifiers: Sequence[str]) -> list[str]:
    """Raw columns from which only constant columns are made."""
    kinds: dict[str, set[str]] = {}
    for column in plan.outputs:
        found = train.ids.get(column.name) or train.numbers.get(column.name)
        kind = "varied"
        if found is not None and found.is_constant and column.name not in identifiers:
            kind = _always(column, found)
        for source in column.sources:
            kinds.setdefault(source, set()).add(kind)
    names: dict[str, list[str]] = {"constant": [], "rare": [], "missing": [], "either": []}
    for name, found_kinds in kinds.items():
        if "varied" not in found_kinds:
            names[next(kind for kind in names if kind in found_kinds)].append(name)
    return [
        f"{_columns(names[kind])} {what}, so nothing can be learned there. Check name and format, "
        "make it 'unused', or lower workflow.options.frequency_threshold where its values are rare."
        for kind, what in _ALWAYS_THE_SAME.items()
        if names[kind]
    ]


def _always(column: OutputColumn, found: NumberRange) -> str:
    """What a column is that has one number, or one id, in every training row."""
    is_missing = found.low == _of_missing(column)
    unseen = column.id_step.unseen_ids if column.is_categorical else range(0)
    if unseen:
        is_rare = unseen.start <= found.low < unseen.stop
        return "missing" if is_missing else "rare" if is_rare else "constant"
    return "either" if is_missing else "constant"  # a number may be what fills missing ones


def _of_missing(column: OutputColumn) -> float:
    """What a missing value becomes; NaN where that is not known."""
    of_raw = all(isinstance(source, str) for source in column.chain.sources)
    number: float | None = math.nan if of_raw else None
    for step in column.chain.fitted:
        number = step.of_missing(number)
    return math.nan if number is None else float(np.float32(number))


def _identifiers(plan: Plan, train: SplitSurvey) -> list[str]:
    """Columns of ids almost all of whose training rows have a value of their own."""
    found = []
    for column in plan.categorical:
        ids = train.ids[column.name]
        fewest = column.id_step.fewest_values(ids.unseen)
        if column.is_list or fewest is None:
            continue
        present = ids.count - ids.missing
        if present >= FEWEST_ROWS and fewest >= NEARLY_UNIQUE * present:
            found.append(column.name)
    return found


def _nearly_unique(identifiers: Sequence[str]) -> list[str]:
    if not identifiers:
        return []
    return [
        f"{_columns(identifiers)} nearly unique: almost every training row has a value of its own, "
        "which tells nothing about other rows. Make it 'unused', or give a column that rows share "
        "(a category) instead."
    ]


def _unseen(
    train: SplitSurvey, valid: SplitSurvey, test: SplitSurvey, identifiers: Sequence[str]
) -> list[str]:
    found: dict[str, str] = {}
    for split in (test, valid):
        for name, ids in split.ids.items():
            enough = name not in {*found, *identifiers} and ids.count >= FEWEST_ROWS
            if enough and ids.unseen_share > MOST_UNSEEN:
                share = train.ids[name].unseen_share
                found[name] = f"{ids.unseen_share:.0%} in {split.name}, {share:.0%} in train"
    if not found:
        return []
    shares = [f"{name!r} ({share})" for name, share in found.items()]
    return [
        f"Most values are out of vocabulary in {_listed(shares)}: the model has seen none of them. "
        "Lower workflow.options.frequency_threshold where they are rare in training; where new "
        "values keep coming, give a column that they share (a category, an age) instead."
    ]


def _large(train: SplitSurvey, valid: SplitSurvey, test: SplitSurvey) -> list[str]:
    large = {n: found.largest for n, found in train.numbers.items() if found.largest > LARGE}
    outside: dict[str, str] = {}
    for split in (test, valid):
        for name, found in split.numbers.items():
            known = train.numbers[name].largest
            if found.largest > OUTSIDE * max(known, 1.0):
                outside[name] = f"{found.largest:.3g} in {split.name}, {known:.3g} in train"
    warnings = []
    if large:
        sizes = [f"{name!r} ({size:.3g})" for name, size in large.items()]
        warnings.append(
            f"Numbers are very large after the graph in {_listed(sizes)}: they swamp all others. "
            "Normalize the column, take its logarithm, or clip it (workflow.options.clip_max)."
        )
    if outside:
        sizes = [f"{name!r} ({size})" for name, size in outside.items()]
        warnings.append(
            f"Numbers are far outside of what training saw in {_listed(sizes)}: the scores of such "
            "rows mean nothing. Clip the column (workflow.options.clip_min and clip_max), or split "
            "the rows at random (split.by: hash)."
        )
    return warnings


def _drift(surveys: Mapping[str, SplitSurvey], click_rate: Mapping[str, float]) -> list[str]:
    warnings = []
    trained = click_rate["train"]
    for split in ("valid", "test"):
        found = click_rate[split]
        rate = max(trained, found)
        sizes = 1 / max(surveys["train"].rows, 1) + 1 / max(surveys[split].rows, 1)
        is_significant = abs(found - trained) > SIGNIFICANT * math.sqrt(rate * (1 - rate) * sizes)
        if not trained / DRIFT <= found <= trained * DRIFT and is_significant:
            warnings.append(
                f"The click rate is {trained:.3%} in training and {found:.3%} in {split}: the "
                "splits differ, and scores will be off by that much. Train on rows nearer to those "
                "that are scored, or split them at random (split.by: hash)."
            )
    return warnings


def _columns(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Column {names[0]!r} is"
    return f"Columns {_listed([repr(name) for name in names])} are"


def _listed(words: Sequence[str]) -> str:
    rest = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {rest} more" if rest > 0 else "")

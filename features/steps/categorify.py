"""A category becomes an id: 0 padding, 1 null, 2 out of vocabulary, then the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from features.steps.step import Step

PADDING_ID = 0
NULL_ID = 1
OUT_OF_VOCABULARY_ID = 2
FIRST_VOCABULARY_ID = 3


@dataclass(frozen=True, slots=True)
class Categorify(Step):
    """Ids follow NVTabular: the vocabulary by count descending, on ties by value ascending.

    `vocabulary` is the file inside the plan folder that holds value, id and count, `sha256` its
    hash, and `cardinality` the number of ids in all, so that every id is below it.
    """

    op = "categorify"
    frequency_threshold: int
    cardinality: int
    vocabulary: str
    sha256: str

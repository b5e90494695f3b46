"""Steps that compute text or integers from text, by a Python function of one string."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64, Text, Values
from plumbline.features.steps.step import ValueStep

FEW_ROWS = 64
"""Up to this number of rows, a loop over strings is faster than Arrow's functions."""


@dataclass(frozen=True, slots=True)
class TextStep(ValueStep):
    """A step from text; missing stays missing, and an empty result is missing.

    Bytes that are not UTF-8 are kept as they are.
    """

    takes = "texts"
    is_exact = True

    @abstractmethod
    def of(self, text: str) -> Any:
        """The text, integer or number of a string that is not missing; None is missing."""

    def apply(self, text_B: Text) -> Values:
        if len(text_B) <= FEW_ROWS:
            return self._values([self._of(value) for value in text_B.to_objects()])
        encoded = text_B.to_arrow_bytes().dictionary_encode()
        values = self._values([self._of(value) for value in encoded.dictionary.to_pylist()])
        codes_B = np.asarray(encoded.indices)
        return values.take(codes_B) if isinstance(values, Text) else values[codes_B]

    def _of(self, value: bytes) -> Any:
        return self.of(value.decode(errors="surrogateescape")) if value else None

    def _values(self, results: list[Any]) -> Text | NDArray[Any]:
        if self.gives == "text":
            return Text.from_objects(
                [(result or "").encode(errors="surrogateescape") for result in results]
            )
        if self.gives == "integer":
            return np.array([NULL_INT64 if r is None else r for r in results], np.int64)
        return np.array([np.nan if r is None else r for r in results], np.float64)

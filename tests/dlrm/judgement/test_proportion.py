"""A model's size by its columns, and the warnings about too large ones."""

from __future__ import annotations

import pytest

from plumbline.dlrm.judgement.proportion import Size, proportion_warnings
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM


def architecture_of(ids: int, numbers: int, cardinality: int = 50, top=(512, 256)) -> Architecture:
    return Architecture(
        categorical=tuple(f"c{i}" for i in range(ids)),
        cardinalities=(cardinality,) * ids,
        continuous=tuple(f"x{i}" for i in range(numbers)),
        embedding_dim=16,
        bottom_mlp=(64, 16) if numbers else (),
        top_mlp=top,
    )


@pytest.mark.parametrize(("ids", "numbers"), [(6, 3), (6, 0), (0, 4)])
def test_weights_are_those_of_the_model(ids: int, numbers: int) -> None:
    architecture = architecture_of(ids, numbers)
    model = DLRM(architecture, seed=1)
    matrices = [
        p for n, p in model.named_parameters() if p.ndim == 2 and not n.startswith("tables")
    ]
    size = Size.of(architecture)
    assert size.layer_weights == sum(matrix.numel() for matrix in matrices)
    vectors = ids + bool(numbers)
    assert (size.vectors, size.dots) == (vectors, vectors * (vectors - 1) // 2)
    assert size.multiply_adds == size.layer_weights + size.dots * 16
    assert size.table_rows == 50 * ids


def test_six_hundred_id_columns_are_out_of_proportion() -> None:
    (line,) = proportion_warnings(architecture_of(600, 400), 1_000_000)
    for words in ("601 vectors", "180,300 dots", "92,3", "weights", "1,000,000 training rows"):
        assert words in line
    for words in ("columns", "model.top_mlp"):
        assert words in line
    assert "\n" not in line


def test_a_first_layer_too_large_for_few_rows_only() -> None:
    wide = architecture_of(70, 0, cardinality=10)
    assert proportion_warnings(wide, 5000) and not proportion_warnings(wide, 1_000_000)


def test_usual_models_are_not_named() -> None:
    for rows in (2000, 100_000, 40_000_000):
        assert proportion_warnings(architecture_of(26, 13), rows) == []


def test_tables_with_more_rows_than_the_training_split() -> None:
    (line,) = proportion_warnings(architecture_of(3, 2, cardinality=9000), 10_000)
    for words in ("27,000 rows", "10,000 training rows", "'c0' 9,000", "frequency_threshold"):
        assert words in line
    assert proportion_warnings(architecture_of(2, 2, cardinality=9000), 10_000) == []

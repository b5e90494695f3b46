"""The baseline follows its definition, scores any numbers, and is as good as an exact fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.values import Lists
from plumbline.dlrm.baseline import fitting
from plumbline.dlrm.baseline.fitting import fit_logistic_regression
from plumbline.dlrm.baseline.logistic_regression import FARTHEST, Layout, LogisticRegression, Spread
from plumbline.dlrm.metrics.metrics import area_under_curve, log_loss
from plumbline.dlrm.model.architecture import Architecture


def architecture_of(
    sizes: dict[str, int], continuous: tuple[str, ...], bags: tuple[str, ...] = (), bag="mean"
) -> Architecture:
    return Architecture(
        categorical=tuple(sizes),
        cardinalities=tuple(sizes.values()),
        continuous=continuous,
        embedding_dim=4,
        bottom_mlp=(4,) if continuous else (),
        top_mlp=(4,),
        bags=bags,
        bag=bag,
    )


class Drawn:
    """Clicks drawn from a logistic regression on these columns; files on disk, and arrays."""

    def __init__(
        self,
        folder: Path,
        sizes: dict[str, int],
        scales: dict[str, float],
        rows: int,
        seed: int = 3,
        mixing: float = 0.0,
    ) -> None:
        generator = np.random.default_rng(seed)
        self.architecture = architecture_of(sizes, tuple(scales))
        effects = {name: generator.normal(0, 0.8, size) for name, size in sizes.items()}
        slopes = generator.normal(0, 0.7, len(scales))
        self.arrays = {}
        self.files = {}
        for split, count in (("train", rows), ("valid", 2000), ("test", 4000)):
            ids = {n: np.minimum(generator.geometric(0.2, count), s) - 1 for n, s in sizes.items()}
            pure = generator.normal(size=(count, len(scales)))
            shared = pure.mean(1, keepdims=True) if len(scales) else pure
            pure = (1 - mixing) * pure + mixing * shared
            logit = pure @ slopes * (4 if mixing else 1) - 1.0
            logit += sum(effects[name][ids[name]] for name in sizes)
            click = (generator.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int8)
            dense = (pure * np.array(list(scales.values()))).astype(np.float32)
            table = {
                **{name: pa.array(of, pa.int32()) for name, of in ids.items()},
                **{name: dense[:, index] for index, name in enumerate(scales)},
                "click": click,
            }
            self.files[split] = [folder / f"{split}.parquet"]
            pq.write_table(pa.table(table), self.files[split][0])
            ids_BF = np.column_stack([np.empty((count, 0), np.int64), *ids.values()])
            self.arrays[split] = ids_BF.astype(np.int64), dense, click

    def fit(self, seed: int = 1):
        rate = float(self.arrays["train"][2].mean())
        return fit_logistic_regression(
            self.architecture, self.files["train"], self.files["valid"], seed=seed, click_rate=rate
        )

    def exact(self) -> np.ndarray:
        """Scores of the test rows by Newton's method on the whole one-hot matrix, L2 of 1."""

        def matrix(split: str) -> np.ndarray:
            ids, dense, _ = self.arrays[split]
            hot = [np.eye(s)[ids[:, f]] for f, s in enumerate(self.architecture.cardinalities)]
            spread = (dense - self.arrays["train"][1].mean(0)) / self.arrays["train"][1].std(0)
            return np.column_stack([*hot, spread, np.ones(len(ids))])

        x, click = matrix("train"), self.arrays["train"][2]
        weight = np.zeros(x.shape[1])
        for _ in range(12):
            p = 1 / (1 + np.exp(-x @ weight))
            hessian = (x.T * (p * (1 - p))) @ x + np.eye(len(weight))
            weight -= np.linalg.solve(hessian, x.T @ (p - click) + weight)
        return 1 / (1 + np.exp(-matrix("test") @ weight))


@pytest.mark.parametrize(
    ("sizes", "scales", "rows", "mixing"),
    [
        ({"a": 30, "b": 5, "c": 12}, {"x": 1.0, "y": 1.0}, 12_000, 0.0),
        ({"a": 30, "b": 5}, {"x": 1e6, "y": 1e-3}, 8000, 0.0),
        ({"a": 9}, {"x": 1.0, "y": 1.0, "z": 1.0}, 20_000, 0.95),
        ({}, {"x": 1.0, "y": 2.0}, 3000, 0.0),
        ({"a": 40, "b": 40}, {}, 3000, 0.0),
    ],
    ids=["both", "other scales", "columns that share", "numbers alone", "ids alone"],
)
def test_as_good_as_an_exact_fit(tmp_path: Path, sizes, scales, rows, mixing) -> None:
    drawn = Drawn(tmp_path, sizes, scales, rows, mixing=mixing)
    ids, dense, click = drawn.arrays["test"]
    got, wanted = drawn.fit().regression.score(ids, dense), drawn.exact()
    assert area_under_curve(click, got) > area_under_curve(click, wanted) - 0.003
    assert log_loss(click, got) < log_loss(click, wanted) + 0.003
    assert area_under_curve(click, got) > 0.6


def test_one_seed_gives_the_same_weights(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path, {"a": 30}, {"x": 1.0}, 3000)
    first, again, other = (drawn.fit(seed).regression.weight_W for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sparse_and_dense_steps_are_equal(tmp_path: Path, monkeypatch) -> None:
    drawn = Drawn(tmp_path, {"a": 30, "b": 9}, {"x": 1.0}, 3000)
    monkeypatch.setattr(fitting, "MOST_PASSES", 1)
    moved = []
    for whole in (1e9, 0):
        monkeypatch.setattr(fitting, "WHOLE_TABLE", whole)
        learner = fitting._Learner(drawn.architecture, batches(drawn), 0.3)
        learner.one_pass(iter(batches(drawn)), 10, None)
        moved.append(learner._weight_W)
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-4, atol=1e-6)
    assert np.abs(moved[0]).max() > 0.1


def batches(drawn: Drawn) -> list:
    return list(fitting.ParquetLoader(drawn.files["train"], drawn.architecture, 300).batches())


def test_validation_loss_ends_the_passes_and_large_tables_get_one(
    tmp_path: Path, monkeypatch
) -> None:
    drawn = Drawn(tmp_path, {"a": 30}, {"x": 1.0}, 1000)
    reported: list[int] = []
    fitted = drawn.fit()
    assert 1 <= fitted.passes <= fitting.MOST_PASSES
    assert fitted.rows <= 1000 * min(fitted.passes + fitting.PATIENCE, fitting.MOST_PASSES)
    monkeypatch.setattr(fitting, "ROWS_OF_PASSES", 999)
    one = fit_logistic_regression(
        drawn.architecture,
        drawn.files["train"],
        [],
        seed=1,
        click_rate=0.3,
        progress=reported.append,
    )
    assert (one.passes, one.rows, sum(reported)) == (1, 1000, 1000)


def test_lists_are_learned_by_mean_and_by_sum(list_world) -> None:
    generator = np.random.default_rng(0)
    for bag in ("mean", "sum"):
        shape = architecture_of(
            dict(zip(list_world.architecture.categorical, (23, 13, 9, 7), strict=True)),
            ("I1",),
            ("tags", "apple"),
            bag,
        )
        fitted = fit_logistic_regression(
            shape, list_world.train_files, list_world.valid_files, seed=1, click_rate=0.5
        )
        ids = generator.integers(0, 7, (3, 2))
        tags = Lists(np.array([1, 2, 2, 5]), np.array([0, 0, 1, 4]))
        apple = Lists(np.array([3]), np.array([0, 1, 1, 1]))
        weight = fitted.regression.weight_W
        layout = {"zebra": 0, "C2": 23, "tags": 32, "apple": 45}
        share = 1 / 3 if bag == "mean" else 1.0
        dense = np.zeros((3, 1), np.float32)
        wanted = weight[ids[:, 0]] + weight[layout["C2"] + ids[:, 1]] + weight[-1]
        wanted = wanted + fitted.regression.spread(dense)[:, 0] * weight[-2]
        wanted[0] += weight[layout["apple"] + 3]
        wanted[1] += weight[layout["tags"] + 1]
        wanted[2] += share * weight[layout["tags"] + np.array([2, 2, 5])].sum()
        got = fitted.regression.score(ids, dense, [tags, apple])
        np.testing.assert_allclose(got, 1 / (1 + np.exp(-wanted)), rtol=1e-5)


@given(
    st.lists(st.floats(width=32, allow_subnormal=False), min_size=4, max_size=4),
    st.lists(st.floats(width=32, allow_subnormal=False), min_size=4, max_size=4),
    st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
)
def test_every_number_has_a_score(seen, values, weight) -> None:
    spread = Spread.of(np.array(seen, np.float32).reshape(2, 2))
    layout = Layout(architecture_of({"a": 3}, ("x", "y")))
    weights = np.full(layout.weights, weight, np.float32)
    regression = LogisticRegression(layout, spread, weights)
    dense = np.array(values, np.float32).reshape(2, 2)
    score_B = regression.score(np.array([[0], [2]]), dense)
    assert ((score_B >= 0) & (score_B <= 1)).all()
    assert (np.abs(spread(dense)) <= FARTHEST).all()


def test_no_training_rows_are_refused(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path, {"a": 3}, {"x": 1.0}, 0)
    with pytest.raises(DataError, match="no rows"):
        fit_logistic_regression(
            drawn.architecture, drawn.files["train"], [], seed=1, click_rate=0.5
        )

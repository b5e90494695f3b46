from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from plumbline.base.errors import ConfigError
from plumbline.rawlogs.click_model import write_logs
from plumbline.rawlogs.ingest import ingest_typed
from plumbline.settings import ClickModel, Config, Log

VOCABULARY = (50, 2000, 3, 10, 400)
COLUMNS = {"y": "label", "I1..I3": "continuous", "C1..C5": "hex"}


def click_model(**changes: Any) -> ClickModel:
    settings = {"rows": 50_000, "days": 3, "vocabulary": VOCABULARY, "continuous": 3}
    return ClickModel.model_validate({**settings, **changes})


def criteo_log(**changes: Any) -> Log:
    settings = {"separator": "\t", "header": False, "columns": COLUMNS, "malformed_limit": 0}
    return Log.model_validate({**settings, **changes})


def draw(folder: Path, seed: int = 1, **changes: Any) -> tuple[Path, ...]:
    return write_logs(click_model(**changes), criteo_log(), seed, folder, lambda _: None)


def read(files: tuple[Path, ...]) -> pl.DataFrame:
    names = ["y", "I1", "I2", "I3", *(f"C{i}" for i in range(1, 6))]
    return pl.concat(
        pl.read_csv(file, separator="\t", has_header=False, new_columns=names, infer_schema=False)
        for file in files
    )


def probabilities(folder: Path) -> NDArray[np.float64]:
    files = sorted((folder / "click_probability").iterdir())
    return pl.concat(pl.read_parquet(file) for file in files)["probability"].to_numpy()


def auc(score: NDArray[np.float64], click: NDArray[np.int64]) -> float:
    rank = pl.Series(score).rank().to_numpy()
    clicks = click.sum()
    above = rank[click == 1].sum() - clicks * (clicks + 1) / 2
    return float(above / (clicks * (len(click) - clicks)))


def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    contents = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw(tmp_path / folder, seed, rows=3000)
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        contents.append([path.read_bytes() for path in files])
    assert len(contents[0]) == 6
    assert contents[0] == contents[1]
    assert all(first != other for first, other in zip(contents[0], contents[2], strict=True))


def test_lines_are_in_criteos_format(tmp_path: Path) -> None:
    rows = read(draw(tmp_path))
    assert set(rows["y"]) == {"0", "1"}
    for column in range(1, 6):
        assert rows[f"C{column}"].drop_nulls().str.contains("^[0-9a-f]{8}$").all()
        assert rows[f"C{column}"].n_unique() <= VOCABULARY[column - 1] + 1
    counts = rows.select(pl.col("I1", "I2", "I3").cast(pl.Int64))
    assert counts["I2"].min() == -3
    assert min(counts["I1"].min(), counts["I3"].min()) == 0  # type: ignore[type-var]
    assert counts["I1"].null_count() / len(rows) == pytest.approx(0.45, abs=0.01)


def test_a_few_values_make_up_most_of_a_column(tmp_path: Path) -> None:
    values = read(draw(tmp_path))["C2"].value_counts(sort=True)["count"].to_numpy()
    assert len(values) > 1000
    assert 0.4 < values[:100].sum() / values.sum() < 0.9


def test_values_are_missing_at_random(tmp_path: Path) -> None:
    rows = read(draw(tmp_path))
    missing = rows.filter(pl.col("I1").is_null())["y"].cast(pl.Int64).mean()
    present = rows.filter(pl.col("I1").is_not_null())["y"].cast(pl.Int64).mean()
    # A missing count adds what a zero adds; the two rates differ by that only.
    assert isinstance(missing, float)
    assert isinstance(present, float)
    assert abs(missing - present) < 0.2


@pytest.mark.parametrize("click_rate", [0.05, 0.25, 0.5])
def test_click_rate_and_calibration(tmp_path: Path, click_rate: float) -> None:
    clicks = read(draw(tmp_path, click_rate=click_rate))["y"].cast(pl.Int64).to_numpy()
    probability = probabilities(tmp_path)
    assert len(probability) == len(clicks) == 50_000
    assert probability.mean() == pytest.approx(click_rate, abs=0.01)
    assert clicks.mean() == pytest.approx(click_rate, abs=0.015)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        chosen = (low <= probability) & (probability < high)
        if chosen.sum() > 1000:
            assert clicks[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.03)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_best_reachable_auc(tmp_path: Path, seed: int) -> None:
    clicks = read(draw(tmp_path, seed))["y"].cast(pl.Int64).to_numpy()
    assert 0.77 < auc(probabilities(tmp_path), clicks) < 0.82


@pytest.mark.parametrize(
    ("vocabulary", "continuous", "columns"),
    [
        ((20, 20), 0, {"y": "label", "C1..C2": "hex"}),
        ((20,), 0, {"y": "label", "C1": "hex"}),
        ((), 2, {"y": "label", "I1..I2": "continuous"}),
    ],
)
def test_other_numbers_of_columns(
    tmp_path: Path, vocabulary: tuple[int, ...], continuous: int, columns: dict[str, str]
) -> None:
    model = click_model(vocabulary=vocabulary, continuous=continuous, rows=10_001)
    files = write_logs(model, criteo_log(columns=columns), 1, tmp_path, lambda _: None)
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(lines) == 10_001
    clicks = np.array([int(line[0]) for line in lines])
    assert auc(probabilities(tmp_path), clicks) > 0.7


def test_progress_counts_every_row(tmp_path: Path) -> None:
    done: list[int] = []
    write_logs(click_model(rows=1000), criteo_log(), 1, tmp_path, done.append)
    assert sum(done) == 1000


def test_the_ingest_keeps_the_order_of_the_probabilities(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "name": "t",
            "log": {"separator": "\t", "header": False, "columns": COLUMNS, "malformed_limit": 0},
            "split": {"by": "file", "valid": [1], "test": [2]},
            "workflow": {"graph": "criteo"},
        }
    )
    made = ingest_typed(config, draw(tmp_path, rows=30_000), tmp_path / "out", lambda _: None)
    assert (made.malformed, made.rows["test"]) == (0, 10_000)
    clicks = pl.read_parquet(tmp_path / "out" / "test" / "part-*.parquet")["click"]
    truth = pl.read_parquet(tmp_path / "click_probability" / "day_2.parquet")["probability"]
    assert auc(truth.to_numpy(), clicks.cast(pl.Int64).to_numpy()) > 0.75


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"columns": {"y": "label", "I1..I2": "continuous", "C1..C5": "hex"}},
            "a label, 3 continuous and 5 hex columns, in this order, got 1 label, 2 continuous, 5",
        ),
        ({"header": True}, 'wanted format: csv, separator: "\\\\t", header: false'),
        ({"separator": ","}, "lines separated by tabs without a header"),
    ],
)
def test_a_log_that_does_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_logs(click_model(), criteo_log(**changes), 1, tmp_path, lambda _: None)

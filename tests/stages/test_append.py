"""A day is appended in a new folder: ids stay, statistics are merged, training goes on."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from plumbline.base.errors import DataError, PlanError, StageError
from plumbline.base.files import file_sha256
from plumbline.base.manifest import MANIFEST_FILE, Manifest
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.score.evaluation import evaluate
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.tensors.tensor_file import under
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.stages import day_score
from plumbline.stages.day_check import check_day
from plumbline.stages.day_training import start_of
from plumbline.stages.finished import finished_stages
from plumbline.stages.parent import Link, config_of_day, next_folder, parent_of
from plumbline.stages.rows import row_source
from plumbline.stages.run import Run
from plumbline.stages.stage import parts
from tests.stages.appended_days import (
    ROWS,
    STAGES,
    appended,
    config_of,
    day_file,
    finished,
    run_of,
)

GRAPH = """
from nvtabular import ops
def graph(kinds):
    return ["c", "s"] >> ops.Categorify(freq_threshold=2)
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on day 0."""
    folder = tmp_path_factory.mktemp("first")
    return finished(run_of(day_file(folder, 0)), folder / "shop")


@pytest.fixture(scope="module")
def second(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Day 1, appended to it."""
    folder = tmp_path_factory.mktemp("second")
    return appended(folder / "run", first, day_file(folder, 1))


def etl_facts(run: Path) -> dict[str, Any]:
    return Manifest.read(run / "etl").facts


def hashes(run: Path) -> dict[str, str]:
    return {name: Manifest.read(run / name).hash for name in STAGES}


def values(plan: Plan, name: str) -> list[Any]:
    (column,) = (one for one in plan.categorical if one.name == name)
    found: list[Any] = plan.vocabulary(column).value.to_pylist()
    return found


def test_ids_stay_and_the_day_is_scored_before_training(first: Path, second: Path) -> None:
    old, new = read_plan(first / "etl" / "plan"), read_plan(second / "etl" / "plan")
    grown = {}
    for name in ("c", "s"):
        before, now = values(old, name), values(new, name)
        assert now[: len(before)] == before
        grown[name] = len(now) - len(before)
    facts = etl_facts(second)["append"]
    assert facts["new_ids"] == grown and min(grown.values()) > 0
    (day,) = facts["days"]
    assert day["files"] == ["day_1.csv"] and day["rows"] == ROWS
    assert 0.3 < day["auc"] < 1 and {"logloss", "normalized_entropy", "calibration"} < day.keys()
    assert (
        Manifest.read(second / "etl").rows["train"] == Manifest.read(second / "train").rows["train"]
    )


def test_only_the_days_own_rows_are_read(second: Path) -> None:
    rows = Manifest.read(second / "ingest").rows
    assert rows["train"] + rows["valid"] + rows["test"] == ROWS
    trained = sum(len(pl.read_parquet(file)) for file in parts(second / "etl" / "train"))
    assert trained == rows["train"]


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): (file_sha256(file), file.stat().st_mtime_ns) for file in files}


def test_nothing_in_the_parent_is_changed(first: Path, tmp_path: Path) -> None:
    before = tree(first)
    appended(tmp_path / "run", first, day_file(tmp_path, 1))
    assert tree(first) == before


def test_days_in_a_row(second: Path, tmp_path: Path) -> None:
    third = appended(tmp_path / "third", second, day_file(tmp_path, 2))
    facts = etl_facts(third)["append"]
    assert [day["files"] for day in facts["days"]] == [["day_1.csv"], ["day_2.csv"]]
    old, new = read_plan(second / "etl" / "plan"), read_plan(third / "etl" / "plan")
    assert values(new, "c")[: len(values(old, "c"))] == values(old, "c")
    link = Link.read(third)
    assert link is not None and link.day == 2 and len(link.earlier) == 1
    own = Manifest.read(second / "etl").rows["train"]
    assert etl_facts(third)["older_rows"] == etl_facts(second)["older_rows"] + own


def scores(run: Run, plan: Plan, scorer: Scorer, folder: Path) -> np.ndarray:
    """Of all rows of the day, as raw rows are scored."""
    with finished_stages(folder, ("ingest",)) as inputs:
        source = row_source(run, inputs)
        found = [
            probability_B
            for split in ("train", "valid", "test")
            for _, probability_B in day_score.scores_of(plan, scorer, source, split)
        ]
    return np.concatenate(found)


def start_model(run: Run, folder: Path) -> tuple[Plan, Scorer]:
    """The plan and the model of a run before its training."""
    etl = Manifest.read(folder / "etl")
    plan = read_plan(folder / "etl" / "plan")
    architecture = Architecture.of(plan, run.config.model)
    assert run.parent is not None and etl.inputs.keys() >= {"parent/etl"}
    with finished_stages(run.parent, ("etl", "train")) as of_parent:
        inputs = {f"parent/{name}": stage for name, stage in of_parent.items()}
        state = start_of(inputs, plan, architecture).state
    return plan, Scorer.of(DLRM.of_weights(architecture, under("parameter/", state)))


def trained_model(folder: Path) -> tuple[Plan, Scorer]:
    plan = read_plan(folder / "etl" / "plan")
    return plan, Scorer.load(folder / "train" / "model", plan.content_hash)


@pytest.mark.parametrize("statistics", ["frozen", "merged"])
def test_scores_before_training_are_the_parents_to_the_bit(
    first: Path, tmp_path: Path, statistics: str
) -> None:
    """With frozen statistics of any graph; with merged ones if a graph has ids alone."""
    changes: dict[str, Any] = {"append": {"statistics": statistics}}
    if statistics == "merged":
        (tmp_path / "graph.py").write_text(GRAPH)
        changes["workflow"] = {"graph": f"{tmp_path}/graph.py:graph", "options": {}}
        first = finished(run_of(day_file(tmp_path, 0), **changes), tmp_path / "of_ids", STAGES[:3])
    day = day_file(tmp_path, 1)
    folder = appended(tmp_path / "run", first, day, stages=STAGES[:2], **changes)
    run = run_of(day, parent=first, **changes)
    (old_plan, old), (plan, new) = trained_model(first), start_model(run, folder)
    assert (plan.content_hash == old_plan.content_hash) == (statistics == "frozen")
    before = scores(run, old_plan, old, folder)
    assert len(before) == ROWS and len(set(before.tolist())) > 50
    assert np.array_equal(scores(run, plan, new, folder), before)


def test_the_metrics_before_training_are_those_of_the_parents_model(
    first: Path, tmp_path: Path
) -> None:
    changes = {"append": {"statistics": "frozen"}, "serving": {"precision": "fp32"}}
    folder = appended(tmp_path / "run", first, day_file(tmp_path, 1), stages=STAGES[:2], **changes)
    _, scorer = trained_model(first)
    files = [file for split in ("train", "valid", "test") for file in parts(folder / "etl" / split)]
    wanted = evaluate(scorer, files)
    (day,) = etl_facts(folder)["append"]["days"]
    assert day["auc"] == wanted.auc and day["rows"] == wanted.rows
    assert day["logloss"] == pytest.approx(wanted.logloss, rel=1e-12)


def test_training_goes_on_from_the_parents_weights(first: Path, tmp_path: Path) -> None:
    """With tiny learning rates the weights hardly move from where the parent's training ended."""
    slow = {"learning_rate": 1e-9, "embedding_learning_rate": 1e-9, "fit_bias": False}
    day = day_file(tmp_path, 1)
    frozen: dict[str, Any] = {"append": {"statistics": "frozen"}, "training": slow}
    folder = appended(tmp_path / "run", first, day, stages=STAGES[:3], **frozen)
    run = run_of(day, parent=first)
    (plan, old), (_, new) = trained_model(first), trained_model(folder)
    before = scores(run, plan, old, folder)
    np.testing.assert_allclose(scores(run, plan, new, folder), before, rtol=1e-4)


@pytest.mark.parametrize("share", [0.25, 3.0])
def test_older_rows_are_replayed(first: Path, tmp_path: Path, share: float) -> None:
    folder = appended(
        tmp_path / "run", first, day_file(tmp_path, 1), stages=STAGES[:3], append={"replay": share}
    )
    etl, train = Manifest.read(folder / "etl"), Manifest.read(folder / "train")
    older = Manifest.read(first / "etl").rows["train"]
    wanted = min(round(share * etl.rows["train"]), older)
    assert etl.rows["replay"] == etl.facts["append"]["replayed"] == wanted
    assert train.rows["train"] == etl.rows["train"] + wanted
    replayed = pl.concat([pl.read_parquet(file) for file in parts(folder / "etl" / "replay")])
    every = pl.concat([pl.read_parquet(file) for file in parts(first / "etl" / "train")])
    assert len(replayed) == wanted
    assert len(replayed.join(every.unique(), on=every.columns, how="anti")) == 0
    again = appended(
        tmp_path / "again", folder, day_file(tmp_path, 2), stages=STAGES[:3], append={"replay": 0.5}
    )
    counts = Manifest.read(again / "etl").rows
    assert counts["replay"] == round(0.5 * counts["train"])


def test_a_day_of_new_values_only(first: Path, tmp_path: Path) -> None:
    folder = appended(tmp_path / "run", first, day_file(tmp_path, 5, first=1000))
    facts = etl_facts(folder)["append"]
    assert facts["new_ids"]["c"] == 40 and facts["new_ids"]["s"] == 20
    assert facts["days"][0]["auc"] < 0.65  # all values were out of vocabulary


def test_a_day_of_known_values_only(first: Path, tmp_path: Path) -> None:
    folder = appended(tmp_path / "run", first, day_file(tmp_path, 6, first=0), stages=STAGES[:3])
    assert etl_facts(folder)["append"]["new_ids"] == {}


def test_an_empty_day_and_one_without_clicks_are_refused(first: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv"):
        appended(tmp_path / "a", first, tmp_path / "empty.csv")
    (tmp_path / "header.csv").write_text("click,x,c,s\n")
    with pytest.raises(DataError, match=r"header\.csv: the file holds no rows"):
        appended(tmp_path / "b", first, tmp_path / "header.csv")
    text = day_file(tmp_path, 1).read_text()
    (tmp_path / "none.csv").write_text(text.replace("\n1,", "\n0,"))
    with pytest.raises(DataError, match=r"Split 'train' holds \d+ rows, 0 of them clicks"):
        appended(tmp_path / "c", first, tmp_path / "none.csv")


def test_the_columns_of_the_days_file(first: Path, tmp_path: Path) -> None:
    """One that is not declared is left out; one that is declared has to be there."""
    lines = day_file(tmp_path, 1).read_text().splitlines()
    (tmp_path / "more.csv").write_text("\n".join([f"{lines[0]},t", *(f"{x},1" for x in lines[1:])]))
    folder = appended(tmp_path / "more", first, tmp_path / "more.csv", stages=STAGES[:2])
    assert etl_facts(folder)["append"]["days"][0]["rows"] == ROWS
    (tmp_path / "less.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    with pytest.raises(DataError, match=r"less\.csv.*'?s'?"):
        appended(tmp_path / "less", first, tmp_path / "less.csv", stages=STAGES[:1])


def test_a_day_with_no_clicks_can_be_appended_with_the_next(first: Path, tmp_path: Path) -> None:
    text = day_file(tmp_path, 1, rows=100).read_text()
    (tmp_path / "none.csv").write_text(text.replace("\n1,", "\n0,"))
    files = (tmp_path / "none.csv", day_file(tmp_path, 2))
    folder = appended(tmp_path / "run", first, *files, stages=STAGES[:2])
    (day,) = etl_facts(folder)["append"]["days"]
    assert day["rows"] == ROWS + 100 and day["files"] == ["none.csv", "day_2.csv"]


def test_sampled_training_rows_are_not_in_the_metrics(tmp_path: Path) -> None:
    changes = {"split": {"keep_negatives": 0.5}}
    parent = finished(run_of(day_file(tmp_path, 0), **changes), tmp_path / "shop", STAGES[:3])
    folder = appended(tmp_path / "run", parent, day_file(tmp_path, 1), stages=STAGES[:2], **changes)
    rows = Manifest.read(folder / "ingest").rows
    (day,) = etl_facts(folder)["append"]["days"]
    assert day["rows"] == rows["valid"] + rows["test"]


def test_groups_stay_in_their_splits(tmp_path: Path) -> None:
    split = {"by": "group", "column": "c", "valid": 0.25, "test": 0.25}
    parent = finished(run_of(day_file(tmp_path, 0), split=split), tmp_path / "shop", STAGES[:1])
    assert Manifest.read(parent / "ingest").settings["split"]["column"] == "c"
    config = config_of_day(config_of(split=split))
    assert config.split.model_dump()["valid"] == 0.25 and config.split.by == "group"


def test_a_parent_of_either_engine_gives_the_same_plan(tmp_path: Path) -> None:
    hashes_of = {}
    for engine in ("native", "nvtabular"):
        folder = tmp_path / engine
        folder.mkdir()
        run = run_of(day_file(folder, 0), engine=engine, append={"keep_statistics": True})
        parent = finished(run, folder / "shop", STAGES[:3])
        day = appended(folder / "run", parent, day_file(folder, 1), stages=STAGES[:2])
        hashes_of[engine] = read_plan(day / "etl" / "plan").content_hash
    assert hashes_of["native"] == hashes_of["nvtabular"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"log": {"columns": {"click": "label", "x": "integer", "c": "integer", "t": "hex"}}},
            r"are others: new t, gone s, x was continuous, is integer",
        ),
        (
            {"workflow": {"options": {"frequency_threshold": 3}}},
            r"frequency_threshold: was 2, is 3",
        ),
        ({"model": {"top_mlp": [4]}}, r"model\.top_mlp: was \[8\], is \[4\]"),
        ({"training": {"optimizer": "sgd"}}, r'training\.optimizer: was "adam", is "sgd"'),
    ],
)
def test_another_configuration_is_refused(
    first: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message):
        appended(tmp_path / "run", first, day_file(tmp_path, 1), **changes)
    assert not (tmp_path / "run").exists()


def test_a_graph_with_a_step_that_cannot_go_on(tmp_path: Path) -> None:
    (tmp_path / "graph.py").write_text(
        "from nvtabular import ops\ndef graph(kinds):\n"
        "    return (['x'] >> ops.FillMedian() >> ops.Normalize()) + (['c'] >> ops.Categorify())\n"
    )
    changes: dict[str, Any] = {"workflow": {"graph": f"{tmp_path}/graph.py:graph", "options": {}}}
    parent = finished(run_of(day_file(tmp_path, 0), **changes), tmp_path / "shop", STAGES[:3])
    with pytest.raises(PlanError, match=r"'x': no day can be appended to Normalize.*FillMedian"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1), **changes)
    frozen = {**changes, "append": {"statistics": "frozen"}}
    folder = appended(tmp_path / "run", parent, day_file(tmp_path, 1), stages=STAGES[:2], **frozen)
    frozen_plan = read_plan(folder / "etl" / "plan").content_hash
    assert frozen_plan == read_plan(parent / "etl" / "plan").content_hash


def test_the_nvtabular_engine_keeps_statistics_only_if_told_to(tmp_path: Path) -> None:
    run = run_of(day_file(tmp_path, 0), engine="nvtabular")
    parent = finished(run, tmp_path / "shop", STAGES[:3])
    assert not (parent / "etl" / "statistics").exists()
    with pytest.raises(StageError, match="engine nvtabular keeps them only if"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))


def test_a_parent_without_statistics(first: Path, tmp_path: Path) -> None:
    keeps_none = {"append": {"keep_statistics": False}}
    parent = finished(run_of(day_file(tmp_path, 0), **keeps_none), tmp_path / "shop", STAGES[:3])
    assert not (parent / "etl" / "statistics").exists()
    with pytest.raises(StageError, match=r"keeps no statistics .*append\.keep_statistics is off"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))
    frozen = appended(
        tmp_path / "frozen", first, day_file(tmp_path, 1), append={"statistics": "frozen"}
    )
    with pytest.raises(StageError, match="they were frozen"):
        appended(tmp_path / "run", frozen, day_file(tmp_path, 2))
    manifest = parent / "etl" / MANIFEST_FILE
    older = Manifest.read(parent / "etl")
    del older.settings["append"]
    older.write(manifest.parent)
    with pytest.raises(StageError, match=r"an older Plumbline.*append\.statistics to frozen"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))


def test_a_parent_that_is_not_complete_or_of_another_version(first: Path, tmp_path: Path) -> None:
    parent = finished(run_of(day_file(tmp_path, 0)), tmp_path / "shop", STAGES[:2])
    with pytest.raises(
        StageError, match=r"shop/train/manifest\.json: missing, so the stage is not"
    ):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))
    with pytest.raises(StageError, match=r"nothing/ingest/manifest\.json: missing"):
        appended(tmp_path / "run", tmp_path / "nothing", day_file(tmp_path, 1))
    file = parent / "etl" / MANIFEST_FILE
    finished(run_of(day_file(tmp_path, 0)), parent, STAGES[2:3])
    file.write_text(file.read_text().replace('"format_version": 2', '"format_version": 1'))
    with pytest.raises(StageError, match="format version 1, but this Plumbline reads 2"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))


def test_a_parent_without_the_optimizers_state(tmp_path: Path) -> None:
    parent = finished(run_of(day_file(tmp_path, 0)), tmp_path / "shop", STAGES[:3])
    manifest = Manifest.read(parent / "train")
    del manifest.files["optimizer/state.safetensors"]
    manifest.write(parent / "train")
    with pytest.raises(StageError, match=r"keeps no optimizer/state\.safetensors.*--from train"):
        appended(tmp_path / "run", parent, day_file(tmp_path, 1))


def test_a_day_is_appended_once(first: Path, second: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_text(day_file(tmp_path, 1).read_text())
    run = run_of(copy, parent=second)
    with pytest.raises(StageError, match=r"copy\.csv: the run .* has been trained on this file"):
        check_day(run, second, tmp_path / "run", force=False)
    assert check_day(run, second, tmp_path / "run", force=True).day == 2
    third = appended(tmp_path / "third", second, day_file(tmp_path, 2), stages=STAGES[:3])
    with pytest.raises(StageError, match="has been trained on this file"):
        check_day(run_of(copy, parent=third), third, tmp_path / "run", force=False)
    copy.write_text(day_file(tmp_path, 0).read_text())
    for parent in (first, third):
        with pytest.raises(StageError, match="has been trained on this file"):
            check_day(run_of(copy, parent=parent), parent, tmp_path / "run", force=False)


def test_folders_of_days(first: Path, second: Path, tmp_path: Path) -> None:
    assert next_folder(Path("runs/shop")) == Path("runs/shop+1")
    assert next_folder(second) == second.parent / "run+2"
    assert parent_of(tmp_path / "new", first) == first
    assert parent_of(second, None) == parent_of(second, first)
    assert parent_of(first, None) is None
    for folder, to, message in (
        (second, tmp_path, "holds a day that was appended to .*shop, not to"),
        (first, second, "holds a run that was not appended to"),
        (tmp_path, tmp_path, "that is the new run itself"),
    ):
        with pytest.raises(StageError, match=message):
            parent_of(folder, to)
    Link("gone", 1, (), ()).write(tmp_path)
    with pytest.raises(StageError, match="where no run is any more"):
        parent_of(tmp_path, None)
    (tmp_path / "append.json").write_text("{}")
    with pytest.raises(StageError, match="not the link of an appended run"):
        parent_of(tmp_path, None)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def whole(first: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The file of a day, and the hashes of its stages after a run without a break."""
    folder = tmp_path_factory.mktemp("whole")
    day = day_file(folder, 1)
    return day, hashes(appended(folder / "run", first, day, append={"replay": 0.5}))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("target", ["record_files", "work"])
def test_a_kill_in_any_stage_is_made_good(
    first: Path,
    whole: tuple[Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    target: str,
) -> None:
    """At the end of the work of a stage, or before its manifest; the run then goes on."""
    day, wanted = whole

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    arguments: dict[str, Any] = {"append": {"replay": 0.5}}
    appended(tmp_path, first, day, stages=STAGES[: STAGES.index(stage)], **arguments)
    run = run_of(day, parent=first, **arguments)
    found = import_module(f"plumbline.stages.{stage}").STAGE
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if target == "record_files":
            patch.setattr("plumbline.stages.stage.record_files", kill)
        else:
            patch.setattr(f"plumbline.stages.{stage}.StageResult", kill)
        found.ensure(run, tmp_path)
    assert not (tmp_path / stage / MANIFEST_FILE).exists()
    finished(run, tmp_path)
    assert hashes(tmp_path) == wanted


def test_training_that_is_cut_off_resumes(
    first: Path,
    whole: tuple[Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day, wanted = whole
    arguments: dict[str, Any] = {"append": {"replay": 0.5}}
    appended(tmp_path, first, day, stages=STAGES[:2], **arguments)
    run, train = run_of(day, parent=first, **arguments), import_module("plumbline.stages.train")

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("plumbline.stages.train._print_epoch", kill)
        train.STAGE.ensure(run, tmp_path)
    assert (tmp_path / "train" / "checkpoint").exists()
    finished(run, tmp_path)
    assert hashes(tmp_path) == wanted and not (tmp_path / "train" / "checkpoint").exists()

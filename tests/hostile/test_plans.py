"""A plan whose hashes fit is refused for what it says, in one line."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import PlanError
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import read_plan
from tests.hostile.signing import sign

Change = Callable[[dict[str, Any]], object]


def changed(folder: Path, change: Change) -> Path:
    """The plan folder, after a change of plan.json that is signed."""
    plan = folder / "plan"
    content = json.loads((plan / "plan.json").read_bytes())
    change(content)
    (plan / "plan.json").write_text(json.dumps(content))
    sign(plan)
    return plan


def steps(chain: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a chain, after those of its sources."""
    inner = [steps(source) for source in chain["sources"] if isinstance(source, dict)]
    return [*itertools.chain(*inner), *chain["steps"]]


def of_step(output: str, key: str, value: Any, index: int = -1) -> Change:
    def change(content: dict[str, Any]) -> None:
        (found,) = (one for one in content["outputs"] if one["name"] == output)
        steps(found)[index][key] = value

    return change


def of_output(name: str, key: str, value: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        (found,) = (one for one in content["outputs"] if one["name"] == name)
        found[key] = value

    return change


def nested(depth: int) -> Change:
    """`price` behind so many chains, one inside of the other."""

    def change(content: dict[str, Any]) -> None:
        source: Any = "price"
        for _ in range(depth):
            source = {"sources": [source], "steps": [{"op": "log"}]}
        of_output("price", "sources", [source])(content)

    return change


WRONG: dict[str, tuple[Change, str]] = {
    "a negative cardinality": (of_step("user", "cardinality", -7), "cardinality: wanted 1 to"),
    "a cardinality beyond 64 bits": (of_step("user", "cardinality", 2**63), "got 92233720"),
    "a cardinality without values": (
        of_step("user", "cardinality", 99),
        "has 94 values, its index 20",
    ),
    "no buckets": (of_step("hashed", "num_buckets", 0), "num_buckets: wanted 1 to"),
    "a number as text": (of_step("hashed", "num_buckets", "11"), "wanted an integer, got '11'"),
    "a bool as number": (of_step("hashed", "num_buckets", True), "wanted an integer, got True"),
    "an unknown key": (of_step("price", "extra", 1), r"step 'normalize': wanted \["),
    "a step of another kind": (of_step("price", "op", ["log"]), "unknown step"),
    "boundaries that do not ascend": (of_step("bucket", "boundaries", [2.0, 1.0]), "ascend"),
    "no points": (of_step("curve", "points", [], 1), "one or more"),
    "equal points": (of_step("curve", "points", [0.0, 1.0, 1.0], 1), "points that ascend"),
    "a period of zero": (of_step("curve", "period", 0.0), "period: wanted"),
    "an offset of a year": (of_step("hour", "offset", 525_600, 0), "offset: wanted -5999 to 5999"),
    "a negative deviation": (of_step("price", "deviation", -1.0), "deviation: wanted 0"),
    "an empty range": (of_step("hour", "last", -1), "wanted a range of integers"),
    "a range beyond 64 bits": (of_step("hour", "last", 2**63 - 1), "wanted a range of integers"),
    "a missing separator": (of_step("part", "separator", "", 0), "wanted a separator"),
    "a text that is none": (of_step("part", "separator", "\ud800", 0), "wanted text, got"),
    "an endless list": (
        of_step("genres", "width", 2**40),
        "width: wanted .*integer from 1 to 65536",
    ),
    "padding of another type": (
        of_step("genres", "pad", "x"),
        "ListSlice pads lists of ids with 'x'",
    ),
    "a constant of another type": (of_step("large", "constant", "x", 0), "compared with a number"),
    "a key of another type": (of_step("shop", "value", 5, 1), "FillKey fills text with 5"),
    "values of another type": (
        of_step("shop", "element", "text", 2),
        "wanted value of string, found",
    ),
    "two columns for one": (
        of_output("bucket", "sources", ["price", "price"]),
        "takes 1 columns, got 2",
    ),
    "one column for two": (of_output("similar", "sources", ["user"]), "takes 2 columns, got 1"),
    "no column": (of_output("hashed", "sources", []), "takes 1 or more columns, got 0"),
    "a column that is none": (of_output("hashed", "sources", ["user", "nobody"]), "reads 'nobody'"),
    "a source that is none": (of_output("hashed", "sources", [3]), "of sources, steps, got 3"),
    "a source with more": (
        of_output("bucket", "sources", [{"sources": ["price"], "steps": [], "x": 1}]),
        "wanted an object of sources, steps",
    ),
    "sources as text": (of_output("hashed", "sources", "ab"), "wanted a list, got 'ab'"),
    "text as numbers": (
        of_output("bucket", "sources", ["city"]),
        "Bucketize wants numbers, got text",
    ),
    "integers for an index of text": (
        of_output("city", "sources", ["price"]),
        "wants integers or text",
    ),
    "text for an index of integers": (
        of_output("user", "sources", ["city"]),
        "cannot have keys of text",
    ),
    "two keys for an index of one": (
        of_output("te", "sources", ["user", "item"]),
        "integers, integers",
    ),
    "another dtype": (of_output("user", "dtype", "float32"), "its steps give int64, not float32"),
    "an output twice": (of_output("user", "name", "city"), "outputs of different names"),
    "a name with a NUL": (of_output("user", "name", "a\0b"), "without NUL"),
    "an input twice": (lambda c: c["inputs"].append(c["inputs"][0]), "inputs of different names"),
    "an input of a new kind": (lambda c: c["inputs"][0].update(kind=["x"]), "column kind"),
    "outputs as text": (lambda c: c.update(outputs="abc"), "wanted a list, got 'abc'"),
    "too many steps": (of_output("price", "steps", [{"op": "log"}] * 101), "at most 100 steps"),
    "too deep": (nested(101), "at most 100 steps"),
    "far too deep": (nested(400), "at most 100 steps|Recursion"),
    "a path out of the folder": (
        of_step("user", "vocabulary", "../plan.json"),
        "inside of this folder",
    ),
    "a path from the root": (of_step("user", "vocabulary", "/etc/passwd"), "inside of this folder"),
    "no path": (of_step("user", "vocabulary", ""), "inside of this folder"),
    "a folder": (of_step("user", "vocabulary", "vocabulary"), "wanted a plain file"),
    "another file": (of_step("similar", "left", "vocabulary/user.index", 0), "cannot be read"),
    "more rows": (of_step("similar", "left_rows", 1, 0), "finite numbers of 1 rows"),
}


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plan_is_refused(folder: Path, name: str) -> None:
    change, message = WRONG[name]
    plan = changed(folder, change)
    with pytest.raises(PlanError, match=message) as raised:
        OnlineExecutor(read_plan(plan))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mean": 0.1', '"mean": 1e999', "1e999, which is not finite"),
        ('"mean": 0.1', '"mean": NaN', "NaN, which is not finite"),
        ('"mean": 0.1', f'"mean": {"9" * 5000}', "not a feature plan"),
        ('"mean": 0.1', '"mean": ' + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ],
    ids=["infinity", "nan", "digits", "depth"],
)
def test_numbers_and_depths_that_json_does_not_limit(
    folder: Path, old: str, new: str, message: str
) -> None:
    file = folder / "plan" / "plan.json"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    with pytest.raises(PlanError, match=message):
        read_plan(folder / "plan")


def test_the_most_steps_are_used(folder: Path) -> None:
    plan = changed(folder, of_output("price", "steps", [{"op": "log"}] * 100))
    OnlineExecutor(read_plan(plan))


@pytest.mark.parametrize("kind", ["link", "pipe", "loop"])
def test_files_that_are_not_in_the_folder(folder: Path, kind: str) -> None:
    file = folder / "plan" / "vocabulary" / "user.parquet"
    content = file.read_bytes()
    file.unlink()
    if kind == "link":
        (folder / "outside").write_bytes(content)
        file.symlink_to(folder / "outside")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file)
    wanted = {"link": "a link out of", "pipe": "wanted a plain file", "loop": "missing from"}
    with pytest.raises(PlanError, match=wanted[kind]):
        OnlineExecutor(read_plan(folder / "plan"))


def test_a_link_inside_of_the_folder_is_used(folder: Path) -> None:
    file = folder / "plan" / "vocabulary" / "user.parquet"
    shutil.move(file, folder / "plan" / "moved")
    file.symlink_to("../moved")
    OnlineExecutor(read_plan(folder / "plan"))

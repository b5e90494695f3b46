"""Files are named after columns; a Python whose file system encoding is ASCII opens them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.base.errors import PlanError
from plumbline.base.files import require_sha256
from tests.plans import categorify, plan_of

ROOT = Path(__file__).parents[2]
CITY = "größe 😀"

SCRIPT = """
import sys
from pathlib import Path
from plumbline.features.plan.plan import read_plan
assert sys.getfilesystemencoding() == "ascii", sys.getfilesystemencoding()
plan = read_plan(Path(sys.argv[1]))
tables = plan.tables()
step = plan.categorical[0].chain.steps[-1]
positions = tables.positions(step.vocabulary, step.sha256, step.index_sha256)
sys.stdout.write(type(positions.index).__name__)
"""


def plan_folder(tmp_path: Path) -> Path:
    city = (CITY, categorify(tmp_path, CITY, ["Köln", "x"]))
    return plan_of(tmp_path, {CITY: "string"}, **{CITY: city}).folder


@pytest.mark.parametrize("native", ["1", "0"])
def test_a_plan_is_read_where_file_names_are_ascii(tmp_path: Path, native: str) -> None:
    """As in the Python that Triton embeds."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    if native == "0":
        environment["PLUMBLINE_NATIVE"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, plan_folder(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "TextIndex"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=f"{CITY}.parquet: missing from the feature plan"):
        require_sha256(tmp_path / f"{CITY}.parquet", "00", PlanError)
    (tmp_path / CITY).mkdir()
    with pytest.raises(PlanError, match="missing from the feature plan"):
        require_sha256(tmp_path / CITY, "00", PlanError)

"""Check rows are read as they were written, and find every kind of difference."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plumbline.columns.wire import Tensors
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.errors import RepositoryError

INPUTS: Tensors = {
    "continuous": np.array([[1.0, np.nan], [np.inf, -0.0]], np.float32),
    "list_bytes": np.array([[b""], [b"\x00\xff"]], np.object_),
}
OUTPUTS: Tensors = {
    "ids": np.array([[1, 2**62], [3, 4]]),
    "list_ids": np.array([[b"abc"], [b""]], np.object_),
    "dense": np.array([[0.5], [np.nan]], np.float32),
    "click_probability": np.array([[0.25], [0.75]], np.float32),
}


@pytest.fixture
def rows() -> CheckRows:
    return CheckRows(INPUTS, OUTPUTS)


def test_they_are_read_as_they_were_written(rows: CheckRows, tmp_path: Path) -> None:
    rows.write(tmp_path / "check.arrow")
    found = CheckRows.read(tmp_path / "check.arrow")
    assert found.rows == 2
    for tensors, wanted in ((found.inputs, INPUTS), (found.outputs, OUTPUTS)):
        assert list(tensors) == list(wanted)
        for name, tensor in wanted.items():
            assert tensors[name].dtype == tensor.dtype
            np.testing.assert_array_equal(tensors[name], tensor)
            assert tensors[name].flags.writeable, "as the server's tensors are"


def test_a_model_is_run_on_the_inputs_and_its_outputs_are_compared(rows: CheckRows) -> None:
    seen: list[Tensors] = []

    def run(tensors: Tensors) -> Tensors:
        seen.append(tensors)
        return OUTPUTS if len(seen) == 1 else {**OUTPUTS, "ids": OUTPUTS["ids"] + 1}

    rows.verify(run, "fp32", "here")
    with pytest.raises(RepositoryError, match=r"^here: the model's outputs differ.*ids in row 0"):
        rows.verify(run, "fp32", "here")
    assert seen == [INPUTS, INPUTS]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ids", np.array([[1, 2**62], [3, 5]]), "ids in row 1, column 1 is 5, wanted 4"),
        ("ids", np.array([[1], [3]]), r"ids is of shape \(2, 1\), wanted \(2, 2\)"),
        ("list_ids", np.array([[b"abc"], [b"d"]], np.object_), "list_ids in row 1, column 0"),
        ("dense", np.array([[0.6], [np.nan]], np.float32), "dense in row 0"),
        ("dense", np.array([[0.5], [0.0]], np.float32), "dense in row 1"),
        ("click_probability", np.array([[0.25], [0.751]], np.float32), "click_probability in row"),
    ],
)
def test_a_difference_is_reported_with_its_position(
    rows: CheckRows, name: str, value: np.ndarray, message: str
) -> None:
    with pytest.raises(RepositoryError, match=f"^here: .*{message}"):
        rows.compare({**OUTPUTS, name: value}, "fp32", "here")


def test_bf16_may_differ_by_its_own_rounding(rows: CheckRows) -> None:
    near = {**OUTPUTS, "click_probability": np.array([[0.26], [0.75]], np.float32)}
    rows.compare(near, "bf16", "here")
    with pytest.raises(RepositoryError, match="click_probability in row 0"):
        rows.compare(near, "fp32", "here")
    with pytest.raises(RepositoryError, match="dense is missing"):
        rows.compare({n: t for n, t in OUTPUTS.items() if n != "dense"}, "bf16", "here")


@pytest.mark.parametrize("content", [b"", b"ARROW1 and nothing more", bytes(100)])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "check.arrow").write_bytes(content)
    with pytest.raises(RepositoryError, match=r"check\.arrow: wanted check rows"):
        CheckRows.read(tmp_path / "check.arrow")


def test_what_a_server_reads_imports_no_pandas(rows: CheckRows, tmp_path: Path) -> None:
    """A process of a server would need half a second and 40 MB for it."""
    rows.write(tmp_path / "check.arrow")
    keys, values = pa.array(["a", "b"]), np.array([0.5, np.nan])
    step = KeyedValue.written(tmp_path, "x", [keys], ["s"], values, default=0.0, null=None)
    code = (
        "import sys; from pathlib import Path; "
        "from plumbline.features.lookup.tables import Tables; "
        "from plumbline.serving.contract.check_rows import CheckRows; "
        f"folder = Path({str(tmp_path)!r}); CheckRows.read(folder / 'check.arrow'); "
        f"print(Tables(folder).numbers({step.table!r}, 2)); sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[0.5 nan]\n"

"""Links with plain names to folders of any name."""

import tempfile
from pathlib import Path

import pytest

from plumbline.serving.errors import ServerError
from plumbline.serving.launch import owned
from plumbline.serving.launch.plain_names import PlainNames

ODD = [
    "with blank",
    "ümlaut",
    "quo'te",
    'dou"ble',
    "#hash",
    "per%cent",
    "😀",
    "a&b;c",
    "$HOME",
    "(x)",
]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_is_reached_under_a_plain_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "repository"
    folder.mkdir(parents=True)
    (folder / "file").write_text("inside")
    names = PlainNames()
    link = names.of(folder)
    assert str(link).isascii() and not set(str(link)) & set(" '\"#%&;$()")
    assert (link / "file").read_text() == "inside"
    assert names.of(folder) == link, "one link a folder"
    assert names.resolved(f"{link}/1/model.py: no") == f"{folder}/1/model.py: no"
    scratch = names.scratch(tmp_path / name)
    assert scratch.is_dir() and str(scratch).isascii()
    names.close()
    assert not link.exists() and (folder / "file").exists(), "what it leads to stays"
    names.close()


def test_a_folder_of_a_plain_name_is_left_alone(tmp_path: Path) -> None:
    names = PlainNames()
    assert names.of(tmp_path) == names.scratch(tmp_path) == tmp_path
    assert names.resolved(f"{tmp_path}: x") == f"{tmp_path}: x"


def test_the_temporary_folder_may_be_odd_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "t m p"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    names = PlainNames()
    assert odd not in names.of(odd).parents
    names.close()
    monkeypatch.setattr(owned, "TEMPORARY", ())
    with pytest.raises(ServerError, match=r"No folder for temporary files .*Set TMPDIR"):
        PlainNames().of(odd)

"""docs/configuration.md is what the settings say, and says it for every key."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from plumbline.settings.reference import EXAMPLES, PAGE, example, keys, reference

KEYS = list(keys())
SINGLE = [
    (path, info) for path, info in KEYS if f"see [`{path.rpartition('.')[2]}`]" not in reference()
]


def test_the_page_is_made_from_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "the settings have changed: run python -m plumbline.settings.reference"
    )


@pytest.mark.parametrize(("path", "info"), KEYS, ids=[path for path, _ in KEYS])
def test_every_key_has_a_meaning(path: str, info: FieldInfo) -> None:
    assert info.description, f"{path}: wanted a text under the field that says what it means"
    name = path.rpartition(".")[2]
    assert f"| `{name}` |" in reference()


@pytest.mark.parametrize(("path", "info"), SINGLE, ids=[path for path, _ in SINGLE])
def test_every_example_is_a_value_of_its_key(path: str, info: FieldInfo) -> None:
    shown: Any = example(path, info)
    wanted: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    TypeAdapter(wanted).validate_python(shown)


def test_no_example_is_of_a_key_that_is_gone() -> None:
    paths = {path for path, _ in KEYS}
    of_unions = {path.partition(" (")[0] + path.rpartition(")")[2] for path in paths if "(" in path}
    assert EXAMPLES.keys() <= paths | of_unions

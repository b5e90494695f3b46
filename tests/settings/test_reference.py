"""docs/configuration.md is generated from the settings, and covers every key."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from plumbline.settings.reference import EXAMPLES, PAGE, example, keys, reference

KEYS = list(keys())
SINGLE = [
    (path, info) for path, info in KEYS if f"see [`{path.rpartition('.')[2]}`]" not in reference()
]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "the settings have changed: run python -m plumbline.settings.reference"
    )


@pytest.mark.parametrize(("path", "info"), KEYS, ids=[path for path, _ in KEYS])
def test_every_key_has_a_description(path: str, info: FieldInfo) -> None:
    assert info.description, f"{path}: wanted a docstring under the field"
    name = path.rpartition(".")[2]
    assert f"| `{name}` |" in reference()


@pytest.mark.parametrize(("path", "info"), SINGLE, ids=[path for path, _ in SINGLE])
def test_every_example_is_a_value_of_its_key(path: str, info: FieldInfo) -> None:
    type_: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    TypeAdapter(type_).validate_python(example(path, info))


def test_every_example_has_a_key() -> None:
    paths = {path for path, _ in KEYS}
    of_unions = {path.partition(" (")[0] + path.rpartition(")")[2] for path in paths if "(" in path}
    assert EXAMPLES.keys() <= paths | of_unions

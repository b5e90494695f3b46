"""Settings of how values are written: time formats, marks of numbers, words of clicks."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from plumbline.settings import Label, Table


def test_the_format_of_a_time_is_given_with_its_column() -> None:
    text = 'columns: {y: label, t1..t2: {kind: time, format: "%d/%m/%y %H:%M"}, u: time}'
    table = Table.model_validate(yaml.safe_load(text))
    assert table.columns == {"y": "label", "t1": "time", "t2": "time", "u": "time"}
    assert table.time_formats == dict.fromkeys(("t1", "t2"), "%d/%m/%y %H:%M")
    assert Table.model_validate(table.model_dump(mode="json")) == table


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"t": {"kind": "integer", "format": "%Y"}}}, "a mapping is for kind 'time'"),
        ({"columns": {"t": {"kind": "time"}}}, "columns.t: wanted a format such as"),
        ({"columns": {"t": {"kind": "time", "format": 7}}}, "columns.t: wanted a format such as"),
        ({"columns": {"t": {"kind": "time", "fromat": "%Y"}}}, "did you mean 'format'"),
        ({"columns": {"t": {"kind": "time", "format": "%d/%m"}}}, "'%d/%m' has no year"),
        ({"columns": {"t": {"kind": "time", "format": "yyyy-mm-dd"}}}, "has no year: wanted strp"),
        ({"columns": {"t": {"kind": "time", "format": "%Y %Q"}}}, "not a format of strptime's"),
        ({"columns": {"t": "integer"}, "time_formats": {"t": "%Y"}}, "is integer, wanted kind"),
        ({"columns": {"t": "time"}, "time_formats": {"u": "%Y"}}, "is not in the table, wanted"),
        ({"columns": {"x": "integer"}, "thousands": "."}, "is the decimal mark too: give decimal"),
        ({"columns": {"x": "integer"}, "thousands": "1"}, "wanted a mark such as"),
        ({"columns": {"x": "integer"}, "thousands": "-"}, "wanted a mark such as"),
    ],
)
def test_formats_that_cannot_be_read_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Table.model_validate(settings)
    assert message in str(raised.value)


def test_click_words_may_be_numbers_and_booleans_of_yaml() -> None:
    click = yaml.safe_load('[buy, 1, 2.5, "yes"]')
    assert Label(click=click).click == ("buy", "1", "2.5", "yes")
    unquoted = Label(click=yaml.safe_load("[yes]")).click
    assert {"yes", "Yes", "YES", "true", "on"} <= set(unquoted)
    assert not {"no", "false"} & set(unquoted)
    assert {"no", "False", "OFF"} <= set(Label(click=yaml.safe_load("[no]")).click)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"click": "yes"}, "wanted a list of words such as [\"yes\"], got 'yes'"),
        ({"click": True}, "wanted a list of words"),
        ({"click": [""]}, "empty text is a missing label"),
        ({"click": [["a"]]}, "valid string"),
        ({"click": ["a"], "at_least": 1}, "at_least and click exclude each other"),
    ],
)
def test_contradictory_and_empty_labels_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Label.model_validate(settings)
    assert message in str(raised.value)

"""The event file holds every figure of the report that has a step."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from plumbline.stages.report.events import scalars, write_events
from tests.stages.report.sample import HOSTILE, report_of


def events(folder: Path) -> list[Event]:
    """The events of the only file in the folder: each has a length, a sum, its bytes, a sum."""
    (file,) = (folder / "tensorboard").iterdir()
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack_from("<Q", content)
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[12 + length + 4 :]
    return found


def test_scalars_are_written_at_their_steps(tmp_path: Path) -> None:
    report = report_of()
    write_events(report, tmp_path)
    values = [
        (value.tag, event.step, value.simple_value)
        for event in events(tmp_path)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]
    wanted = scalars(report)
    assert [(name, step) for name, step, _ in values] == [(name, step) for name, step, _ in wanted]
    assert [value for *_, value in values] == pytest.approx([value for *_, value in wanted])
    assert ("train/loss", 6, pytest.approx(0.7123)) in values
    assert ("valid/logloss", 6, pytest.approx(0.4)) in values
    assert ("valid/logloss", 12, pytest.approx(0.4876)) in values
    assert ("test/auc", 12, pytest.approx(0.7)) in values
    texts = [value.tag for event in events(tmp_path) for value in event.summary.value]
    assert any(tag.startswith("settings") for tag in texts)


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        write_events(report_of(text=HOSTILE), tmp_path)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1

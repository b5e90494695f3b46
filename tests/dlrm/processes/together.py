"""Train jobs one after another, in every process of a group that a test started with torchrun.

    python -m tests.dlrm.processes.together FOLDER

The folder has JSON files: a job, the kinds of sharding allowed, and the rows after which it is cut
off. Beside each, the first process writes the result.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from plumbline.dlrm.processes.group import Group, joined
from plumbline.dlrm.processes.job import Job, train_in_group
from plumbline.dlrm.processes.place import place


class CutOff(Exception):
    """The power fails, in all processes at the same step."""


def cut_after(rows: int | None) -> Callable[[int], None]:
    done = 0

    def progress(more: int) -> None:
        nonlocal done
        done += more
        if rows is not None and done >= rows:
            raise CutOff

    return progress


def run(group: Group, file: Path) -> None:
    asked = json.loads(file.read_text())
    try:
        result = train_in_group(
            group,
            Job.of_text(asked["job"]),
            cut_after(asked["cut_after"]),
            allowed=asked["allowed"],
        )
    except CutOff:
        return
    if group.leads:
        file.with_suffix(".result").write_text(json.dumps(asdict(result)))


def main(folder: Path) -> None:
    here = place()
    assert here is not None
    with joined(here) as group:
        group.open("cpu")
        for file in sorted(folder.glob("*.json")):
            run(group, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Kills runs at random moments in every stage, lets them go on, and compares them with a whole run.

A run of seconds, from a click model's log to served scores, is killed with SIGKILL several times in
each stage: by turns its process alone, or all that it started too. It goes on after each kill. In
the end its manifests, and with them plan, weights and scores, must have the hashes of a run that
was never killed. What a kill leaves behind is counted: files in the run's folder at its end;
processes, shared memory and temporary folders some seconds after the kill, or after the next start
if all was killed, the server's guard too.

`--way` kills runs that use more than one process or an earlier run (`benchmarks/kills_ways.py`), in
the stages that do; by turns also one process of those that the run has started, such as a worker.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Benchmark, parser
from benchmarks.kills_place import Workplace
from benchmarks.kills_ways import CONFIG, WAYS, Way
from plumbline.base.console import say
from plumbline.base.manifest import MANIFEST_FILE, Manifest
from plumbline.commands.stages import LIBRARY_LOG

KILLS_IN_A_STAGE = 3
"""The most in one run."""
FILES = "files in the run's folder"
_EVENTS = re.compile(r"(?<=\.tfevents)\..*")
"""The end of the name of TensorBoard's file, which holds the time and the machine."""


@dataclass(slots=True)
class Tally:
    """What became of the kills in one stage."""

    kills: int = 0
    resumed: int = 0
    """Kills after which the run went on to its end."""
    same: int = 0
    """Kills of runs in which the stage has the hashes of the whole run."""
    left: Counter[str] = field(default_factory=Counter)
    """What was left behind, and how often."""

    def cells(self) -> list[str]:
        left = ", ".join(f"{count} {kind}" for kind, count in self.left.items())
        return [str(self.kills), str(self.resumed), str(self.same), left or "nothing"]


@dataclass(frozen=True, slots=True)
class Run:
    """A complete run: its manifests, whose files have their hashes, and the names of all files."""

    manifests: Mapping[str, Manifest]
    names: frozenset[str]

    @classmethod
    def read(cls, folder: Path, way: Way) -> Run:
        """Raises StageError if a stage is not complete or one of its files has another hash."""
        manifests = {stage: Manifest.read(folder / stage) for stage in way.stages}
        for stage, manifest in manifests.items():
            manifest.verify(folder / stage)
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        names.discard(LIBRARY_LOG)  # which is there if a library has warned of something
        return cls(manifests, frozenset(_EVENTS.sub("", name) for name in names))


def unfinished(run: Path, way: Way) -> str:
    """The stage in which a run is; the last one also after it."""
    missing = (stage for stage in way.stages if not (run / stage / MANIFEST_FILE).exists())
    return next(missing, way.stages[-1])


def kill_in_stages(
    place: Workplace, way: Way, folder: Path, whole: Run, tallies: Mapping[str, Tally], kills: int
) -> None:
    """Kill one run at most `kills` times, let it end, and compare it."""
    hit = dict.fromkeys(way.stages, 0)
    done = sum(tally.kills for tally in tallies.values())
    for stage in way.killed_in:
        for _ in range(KILLS_IN_A_STAGE):
            if sum(hit.values()) == kills or (folder / stage / MANIFEST_FILE).exists():
                break
            attempt = place.start(folder)
            attempt.wait_for(stage)
            attempt.wait(random.uniform(0, whole.manifests[stage].seconds))
            killed = way.killed[(done + sum(hit.values())) % len(way.killed)]
            at = unfinished(folder, way)
            if not place.kill(attempt, killed):
                break
            attempt.status()
            hit[at] += 1
            tallies[at].left += place.left_behind(with_memory=killed != "all")
    last = place.start(folder)
    failed = last.status() != 0
    at = unfinished(folder, way)
    tallies[at].left += place.left_behind(with_memory=True)
    for stage, count in hit.items():
        tallies[stage].kills += count
        tallies[stage].resumed += count - (failed and stage == at and count > 0)
    if failed:
        for line in last.log.read_text(encoding="utf-8").splitlines():
            say(line)
    else:
        compare(Run.read(folder, way), whole, hit, tallies)


def compare(run: Run, whole: Run, hit: Mapping[str, int], tallies: Mapping[str, Tally]) -> None:
    """Count what is equal, and say what differs: hashes of stages, and names of files."""
    for stage, wanted in whole.manifests.items():
        got = run.manifests[stage]
        if got.hash == wanted.hash:
            tallies[stage].same += hit[stage]
        else:
            files = sorted({name for name, _ in wanted.files.items() ^ got.files.items()})
            say(f"{stage}: other than in the whole run: {files or 'settings'}")
    for name in sorted(run.names ^ whole.names):
        say(f"{name}: in one run only")
        stage = name.partition("/")[0]
        tallies[stage if stage in tallies else list(tallies)[-1]].left[FILES] += 1


def report(tallies: Mapping[str, Tally], way: str, file: Path | None) -> bool:
    """Print the table, and write the JSON; whether all kills were made good."""
    table = Table("stage", "kills", "resumed", "same hashes", "left behind")
    benchmark = Benchmark("kills")
    for stage, tally in tallies.items():
        table.add_row(stage, *tally.cells())
        if file is not None:
            kills, resumed, same, left = tally.cells()
            benchmark.notes.append(
                f"{stage}: {kills} kills, {resumed} resumed, {same} with the same hashes, left "
                f"behind: {left}"
            )
    Console().print(table)
    benchmark.notes.append(f"way: {way}")
    every = tallies.values()
    kills = sum(tally.kills for tally in every)
    left = sum((tally.left for tally in every), Counter[str]())
    benchmark.at_least("kills that a run went on after", sum(t.resumed for t in every), kills)
    benchmark.at_least("kills with the same hashes", sum(t.same for t in every), kills)
    benchmark.at_most(f"left behind: {FILES}", left.pop(FILES, 0), 0)
    benchmark.at_most("left behind: anything else", left.total(), 0)
    benchmark.report(file)
    return all(target["met"] for target in benchmark.targets)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=200, metavar="N", help="default: 200")
    arguments.add_argument("--seed", type=int, default=None, help="of the moments")
    arguments.add_argument("--way", choices=WAYS, default="plain", help="default: plain")
    options = arguments.parse_args()
    random.seed(options.seed)
    kills = 6 if options.quick else options.kills
    way = WAYS[options.way]
    tallies = {stage: Tally() for stage in way.stages}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        place = Workplace(folder, CONFIG)
        place.options = way.prepare(place, folder)
        for name in ("cold", "whole"):  # the second one takes as long as those that are killed
            whole_run = place.start(folder / name)
            if whole_run.status() != 0:
                sys.exit(whole_run.log.read_text(encoding="utf-8"))
        whole = Run.read(folder / "whole", way)
        while (done := sum(tally.kills for tally in tallies.values())) < kills:
            run = folder / f"run-{done}"
            kill_in_stages(place, way, run, whole, tallies, kills - done)
            shutil.rmtree(run)
    sys.exit(not report(tallies, options.way, options.json))


if __name__ == "__main__":
    main()

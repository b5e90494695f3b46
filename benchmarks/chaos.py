"""Minutes of traffic to a server that is attacked: `make chaos`.

Kaggle's configuration at Criteo's size, served by `plumbline server --gateway` from a live
repository. Rows go to the gateway in JSON and Arrow, and to Triton's HTTP port, steadily; meanwhile
one fault after another happens. Every answer is compared with the scores of the version that gave
it, computed offline. A fault's seconds are the time until the last answer after it that was not
right.
"""

from __future__ import annotations

import random
import secrets
import statistics
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.chaos_faults import FAULTS, Attack
from benchmarks.chaos_releases import Releases, make_releases
from benchmarks.chaos_traffic import Judged, Traffic
from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.running_server import RunningServer
from benchmarks.serve_export import READY_SECONDS
from plumbline.serving.publish.publish import publish

CALM_SECONDS = 10.0
"""Time with right answers alone after which the next fault comes. A server that ran well for so
long is started again at once."""
MOST_SECONDS = {
    "kill -9 of a model process": 5.0,
    "kill -9 of Triton": 10.0,
}
_GIVE_UP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault cost."""

    fault: str
    seconds: float
    """Until the last answer that was not right; 0 if all were."""
    answers: Counter[str]


def attack(
    server: RunningServer, attacked: Attack, minutes: float, retry_seconds: float
) -> list[Outcome]:
    """The faults in random order, each once before any comes again, for so many minutes."""
    traffic, outcomes = Traffic(server, attacked.releases, retry_seconds), []
    end = time.monotonic() + 60.0 * minutes
    with traffic.running():
        _wait_for_calm(traffic, time.monotonic())
        waiting: list[str] = []
        while time.monotonic() < end:
            waiting = waiting or attacked.draw.sample(list(FAULTS), len(FAULTS))
            fault = waiting.pop()
            started = time.monotonic()
            FAULTS[fault](attacked)
            _wait_for_calm(traffic, time.monotonic())
            outcomes.append(outcome_of(fault, started, traffic.since(started)))
    return outcomes


def _wait_for_calm(traffic: Traffic, since: float) -> None:
    """Wait until all answers of the last seconds were right."""
    while True:
        time.sleep(0.1)
        now = time.monotonic()
        recent = traffic.since(now - CALM_SECONDS)
        is_calm = now - since >= CALM_SECONDS and {one.by for one in recent} == {
            "gateway",
            "direct",
        }
        if is_calm and all(one.verdict == "right" for one in recent):
            return
        if now - since > _GIVE_UP_SECONDS:
            raise RuntimeError(f"no right answers again: {recent[-1:]}")


def outcome_of(fault: str, started: float, judged: Sequence[Judged]) -> Outcome:
    others = [one.ended for one in judged if one.verdict != "right"]
    seconds = max(others) - started if others else 0.0
    return Outcome(fault, seconds, Counter(one.verdict for one in judged))


def show(outcomes: Sequence[Outcome]) -> None:
    table = Table("fault", "times", "s until right, median", "most", "right", "refused", "failed",
                  "wrong")  # fmt: skip
    for fault in FAULTS:
        of_fault = [outcome for outcome in outcomes if outcome.fault == fault]
        if of_fault:
            seconds = [outcome.seconds for outcome in of_fault]
            total = sum((outcome.answers for outcome in of_fault), Counter[str]())
            counts = (f"{total[kind]:,}" for kind in ("right", "refused", "failed", "wrong"))
            table.add_row(
                fault, str(len(of_fault)), f"{statistics.median(seconds):.2f}",
                f"{max(seconds):.2f}", *counts,
            )  # fmt: skip
    Console().print(table)


def judge(benchmark: Benchmark, outcomes: Sequence[Outcome], attacked: Attack) -> None:
    for fault in FAULTS:
        seconds = [outcome.seconds for outcome in outcomes if outcome.fault == fault]
        if any(seconds):
            benchmark.add(f"{fault}: until right answers", "s", {OURS: seconds})
        if seconds and fault in MOST_SECONDS:
            benchmark.at_most(f"{fault}: most s", max(seconds), MOST_SECONDS[fault])
    total = sum((outcome.answers for outcome in outcomes), Counter[str]())
    benchmark.notes.append(
        f"{len(outcomes)} faults; {total['right']:,} right answers, {total['refused']:,} refused, "
        f"{total['failed']:,} failed."
    )
    benchmark.at_most("wrong answers", total["wrong"], 0)
    benchmark.at_most("processes left behind by a killed launcher", attacked.left_behind, 0)


def run(folder: Path, releases: Releases, options: Namespace, benchmark: Benchmark) -> None:
    secret = secrets.token_hex(16)
    repository = folder / "live"
    publish(releases.good[0], repository, releases.settings, None, lambda _: None)
    server = RunningServer(
        repository,
        folder / "server.log",
        "--allow-model-control",
        ready_seconds=READY_SECONDS,
        secret=secret,
    )
    with server:
        attacked = Attack(server, releases, repository, secret, random.Random(options.seed))
        outcomes = attack(server, attacked, options.minutes, options.retry_seconds)
    show(outcomes)
    judge(benchmark, outcomes, attacked)


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--minutes", type=float, help="of faults: 10, or .5 with --quick")
    wanted.add_argument("--seed", type=int, default=1, help="draws the order of the faults")
    wanted.add_argument(
        "--retry-seconds", type=float, default=0.25, help="a client waits after a bad answer"
    )
    options = wanted.parse_args()
    share, minutes = (1e-3, 0.5) if options.quick else (1.0, 10.0)
    options.minutes = options.minutes or minutes
    benchmark = Benchmark("chaos")
    benchmark.notes.append(f"A client waits {options.retry_seconds:g} s after a bad answer.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder, make_releases(folder, share), options, benchmark)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()

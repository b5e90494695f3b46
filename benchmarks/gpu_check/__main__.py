"""Checks everything that runs on a GPU: `make gpu-check`, or `make gpu-check EMULATED=1` on a CPU.

Each part (`parts.py`) runs in its own process within its own time. A part that fails or takes too
long does not end the others. The result is one JSON file, in the form of `benchmarks/harness.py`
with what each part found, and one page. The status is 1 if a part failed. docs/gpu.md says more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.library_file import FOLDER
from benchmarks.gpu_check.page import BAD, page
from benchmarks.gpu_check.part import run_part
from benchmarks.gpu_check.parts import EMULATED_SECONDS, PARTS, Part
from benchmarks.harness import Benchmark
from benchmarks.page import RESULTS
from plumbline.base.files import write_json

FORK = multiprocessing.get_context("fork")
"""Parts take over this process's torch, which takes seconds to import. Here it has run nothing: no
threads, no device."""
LINES = 40
"""Lines of a failed part's output that the page shows."""


def main(given: Sequence[str] | None = None) -> int:
    """Run all parts and write the result; 1 if one failed."""
    options = _options(given)
    results: list[dict[str, Any]] = []
    missing = ""
    for part in PARTS:
        result = _skipped(missing) if missing else _run(part, options.emulated)
        result |= {"part": part.name, "title": part.title, "limit": _limit(part, options.emulated)}
        results.append(result)
        reason = f": {result['reason']}" if result["reason"] else ""
        say(f"{part.title}: {result['status']} in {result['seconds']:.1f} s{reason}")
        if part.is_first_step and result["status"] in BAD:
            missing = f"part {part.name} {result['status']}"
    _write(results, options)
    return 1 if any(result["status"] in BAD for result in results) else 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    arguments.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="for the result; benchmarks/results, and for the emulation .gpu-check",
    )
    arguments.add_argument(
        "--emulated", action="store_true", help="run the CUDA sources on the CPU, at small sizes"
    )
    options = arguments.parse_args(given)
    if options.out is None:
        options.out = FOLDER if options.emulated else RESULTS
    return options


def _limit(part: Part, is_emulated: bool) -> int:
    return EMULATED_SECONDS if is_emulated else part.seconds


def _skipped(reason: str) -> dict[str, Any]:
    return {**EMPTY, "status": "skipped", "reason": reason}


EMPTY: dict[str, Any] = {
    "seconds": 0.0,
    "reason": "",
    "checks": 0,
    **{kind: [] for kind in ("cases", "targets", "notes", "tables")},
    "output": "",
}
"""A part's result, without its status."""


def _run(part: Part, is_emulated: bool) -> dict[str, Any]:
    """The part's report, with its seconds, and its output unless it was fine."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "result.json", Path(folder) / "output"
        process = FORK.Process(target=_in_process, args=(part.name, is_emulated, file, output))
        start = time.monotonic()
        process.start()
        process.join(_limit(part, is_emulated))
        has_ended = not process.is_alive()
        if not has_ended:
            _end(process)
        seconds = time.monotonic() - start
        written = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        said = output.read_text(encoding="utf-8", errors="replace").splitlines()
    result = {**EMPTY, "status": "failed", **written, "seconds": seconds}
    if not has_ended:
        result |= {"status": "timed out", "reason": f"took more than {_limit(part, is_emulated)} s"}
    elif result["status"] == "unfinished" or not written:
        how = f"its process ended with status {process.exitcode}"
        result |= {"status": "failed", "reason": how}
    if result["status"] in BAD:
        result["output"] = "\n".join(said[-LINES:])
    return result


def _in_process(name: str, is_emulated: bool, file: Path, output: Path) -> None:
    """In the new process: run the part, with its output in a file."""
    os.setsid()  # what it starts ends with it
    with output.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    raise SystemExit(run_part(name, file, is_emulated))


def _end(process: BaseProcess) -> None:
    """With everything that it has started."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _write(results: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    emulated = " EMULATED=1" if options.emulated else ""
    result = {
        **Benchmark("gpu_check").to_json(),
        "command": f"make gpu-check{emulated}",
        **{
            kind: [item for part in results for item in part[kind]]
            for kind in ("cases", "targets", "notes")
        },
        "parts": list(results),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"{result['date']}-gpu-check{'-emulated' if options.emulated else ''}"
    write_json(options.out / f"{name}.json", result)
    (options.out / f"{name}.md").write_text(page(result), encoding="utf-8")
    say(f"{options.out / name}.md")


if __name__ == "__main__":
    raise SystemExit(main())

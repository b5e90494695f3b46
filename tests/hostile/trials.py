"""Trials of changed artifacts: each is used in a process of its own, with limits.

`python -m tests.hostile.trials --seed 7 --count 1` repeats one. This process forks, so it starts no
thread: it only writes files.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

KINDS = ("plan", "plan", "plan", "model", "int8", "repository", "repository")
SECONDS = 20
MORE_BYTES = 3 << 30
"""Address space of a trial, above what its process has at the start."""


@dataclass(frozen=True)
class Trial:
    """A change of one file of an artifact, drawn from a seed."""

    seed: int
    limit_memory: bool = True

    def run(self, original: Path, scratch: Path) -> str | None:
        """What went wrong, or None."""
        folder = scratch / str(self.seed)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _in_child(self, original, folder, write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as answer:
            said = answer.read().decode(errors="replace")
        _, status = os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
        if os.WIFSIGNALED(status):
            return f"{signal.Signals(os.WTERMSIG(status)).name} after: {said}"
        return said if os.WEXITSTATUS(status) else None


def _in_child(trial: Trial, original: Path, folder: Path, answer: int) -> None:
    signal.alarm(SECONDS)
    if trial.limit_memory:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MORE_BYTES, used + MORE_BYTES))
    try:
        _use(trial.seed, original, folder, answer)
    except BaseException:  # noqa: BLE001 - whatever comes is what the trial looks for
        os.write(answer, traceback.format_exc().encode(errors="replace"))
        os._exit(1)
    os._exit(0)


def _use(seed: int, original: Path, folder: Path, answer: int) -> None:
    from plumbline.base.native import SETTING
    from tests.hostile.mutations import mutate
    from tests.hostile.signing import sign
    from tests.hostile.use import use

    draw = random.Random(seed)
    kind = draw.choice(KINDS)
    shutil.copytree(original / kind, folder / kind)
    files = sorted(file for file in (folder / kind).rglob("*") if file.is_file())
    file = draw.choice([*files, *(f for f in files if f.suffix == ".json")])
    done = mutate(file, draw)
    # Without native code models are loaded by torch, whose import takes longer than a trial.
    os.environ[SETTING] = draw.choice("110") if kind == "plan" else "1"
    os.write(answer, f"{file.relative_to(folder)}: {done}, native {os.environ[SETTING]}\n".encode())
    sign(folder / kind)
    said = use(folder / kind, original, draw)
    os.write(answer, said.encode(errors="replace"))


def run(seeds: range, seconds: float, *, limit_memory: bool) -> tuple[int, list[str]]:
    """Run trials for some seconds; returns their number, and what went wrong."""
    from tests.hostile.artifacts import write_artifacts
    from tests.hostile.use import use

    start, faults, done = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory() as name:
        original = write_artifacts(Path(name) / "original")
        for kind in sorted(set(KINDS)):  # what is imported and measured once is not in every child
            assert use(original / kind, original, random.Random(0)) == "used"
        for seed in seeds:
            fault = Trial(seed, limit_memory).run(original, Path(name))
            done += 1
            if fault is not None:
                faults.append(f"seed {seed}: {fault}")
            if time.monotonic() - start > seconds:
                break
    return done, faults


def use_modules(files: list[Path]) -> None:
    """Use these builds of the native modules, such as those with a sanitizer."""
    for file in files:
        name = "_native" if file.name.startswith("_native") else "_kernels"
        package = "plumbline" if name == "_native" else "plumbline.dlrm"
        loader = importlib.machinery.ExtensionFileLoader(f"{package}.{name}", str(file))
        spec = importlib.util.spec_from_loader(loader.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[loader.name] = module
        loader.exec_module(module)
        setattr(importlib.import_module(package), name, module)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first trial")
    parser.add_argument("--count", type=int, default=10**9, help="number of trials")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for all of them")
    parser.add_argument("--module", type=Path, action="append", default=[], help="a native build")
    options = parser.parse_args()
    use_modules(options.module)
    seeds = range(options.seed, options.seed + options.count)
    done, faults = run(seeds, options.seconds, limit_memory=not options.module)
    kinds = Counter(fault.strip().rsplit("\n", 1)[-1] for fault in faults)
    print("\n\n".join(faults))  # noqa: T201
    print(f"{done} trials, {len(faults)} faults: {dict(kinds)}")  # noqa: T201
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()

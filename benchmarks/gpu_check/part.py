"""One part of the check in this process: `python -m benchmarks.gpu_check.part NAME RESULT`."""

from __future__ import annotations

import argparse
import importlib
import traceback
from pathlib import Path
from unittest import SkipTest

from benchmarks.gpu_check.parts import PARTS
from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report


def run_part(name: str, result: Path, is_emulated: bool, is_small: bool = False) -> int:
    """Run the part and write its report to `result`; 1 if it failed."""
    report = Report(name, result)
    try:
        module = importlib.import_module(f"benchmarks.gpu_check.{name}")
        if name in (part.name for part in PARTS if part.is_first_step):
            module.check(is_emulated, report)
        else:
            module.check(Place.open(is_emulated, is_small), report)
    except SkipTest as skipped:
        report.end("skipped", str(skipped))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported as this part's failure
        traceback.print_exc()
        report.end("failed", f"{type(error).__name__}: {error}")
        return 1
    else:
        report.end("passed")
    return 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("name")
    arguments.add_argument("result", type=Path)
    arguments.add_argument("--emulated", action="store_true")
    arguments.add_argument("--small", action="store_true", help="small sizes on a device too")
    options = arguments.parse_args()
    return run_part(options.name, options.result, options.emulated, options.small)


if __name__ == "__main__":
    raise SystemExit(main())

"""Generate the docs' tables of figures from benchmarks/results/*.json: `python -m benchmarks.page`.

It writes docs/benchmarks.md, and fills tables in other pages between
`<!-- figures: FILE NUMBER -->` and `<!-- end of figures -->`.

A result file is the output of a benchmark's `--json` (see `benchmarks/harness.py`). Figures of
other commands are stored as tables:

    {"benchmark":, "title":, "date":, "commit":, "cpu":, "command":,
     "tables": [{"columns": [], "rows": [[]]}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"
PAGE = DOCS / "benchmarks.md"
OWN_PAGE = "gpu-check"
"""Such a result has a page of its own beside it: `benchmarks/gpu_check`."""
FIGURES = re.compile(r"(<!-- figures: (\S+) (\d+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

HEAD = """# Benchmarks

Made from `benchmarks/results/*.json` by `python -m benchmarks.page`; newest first. Figures of one
table were taken in one run: compare ratios, not times across tables. A ratio is the peer's median
over ours, so above 1 we are faster. What was tried and why is in [log.md](log.md).
"""


def page() -> str:
    """The page's text."""
    files = [file for file in sorted(RESULTS.glob("*.json")) if OWN_PAGE not in file.stem]
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    results.sort(key=lambda result: result["date"], reverse=True)
    return "\n".join([HEAD, *("\n".join(_section(result)) for result in results)])


def filled(text: str) -> str:
    """A page's text with its figures as the result files have them."""

    def figures(match: re.Match[str]) -> str:
        chosen = _result(match[2])["tables"][int(match[3]) - 1]
        return match[1] + "\n".join(table(chosen["columns"], chosen["rows"])) + match[4]

    return FIGURES.sub(figures, text)


def write() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    for file in DOCS.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        if filled(text) != text:
            file.write_text(filled(text), encoding="utf-8")


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _section(result: dict[str, Any]) -> Iterator[str]:
    yield f"## {result['date']}: {result.get('title', result['benchmark'])}\n"
    yield f"{_processor(result)}; commit {result['commit']}; `{_command(result)}`\n"
    if "tables" in result:
        for shown in result["tables"]:
            yield from table(shown["columns"], shown["rows"])
        return
    yield from cases(result["cases"])
    if result["targets"]:
        yield from targets(result["targets"])
    yield from (f"- {note}" for note in result["notes"])
    if result["notes"]:
        yield ""


def cases(measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table of a result's cases."""
    columns = ["case", "side", "unit", "median (min to max)", "peer / ours"]
    yield from table(columns, list(_sides(measured)))


def targets(judged: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table of a result's targets."""
    rows = [
        [target["name"], _value(target["value"]), f"{target['target']:g}", _met(target)]
        for target in judged
    ]
    yield from table(["target", "value", "wanted", ""], rows)


def _sides(measured: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for case in measured:
        for side, figures in case["sides"].items():
            spread = f"{figures['median']:,g} ({figures['min']:,g} to {figures['max']:,g})"
            ratio = case["ratios"].get(side)
            yield [
                case["case"],
                side,
                case["unit"],
                spread,
                "" if ratio is None else f"{ratio:.2f}",
            ]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _processor(result: dict[str, Any]) -> str:
    if "flags" not in result:
        return str(result["cpu"])
    return f"{result['cpu']} ({', '.join(result['flags'])}), {result['threads']} threads"


def _command(result: dict[str, Any]) -> str:
    return str(result.get("command") or f"python benchmarks/{result['benchmark']}.py")


def _value(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,g}"


def _met(target: dict[str, Any]) -> str:
    return "met" if target["met"] else "**missed**"


if __name__ == "__main__":
    write()

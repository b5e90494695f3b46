"""The README is short, begins with what to type, and names what exists."""

import re
import subprocess
from pathlib import Path

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_run_and_test() -> None:
    first_screen = "\n".join(README.splitlines()[:20])
    assert "make run" in first_screen and "make test" in first_screen


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_figure_has_the_command_that_gives_it() -> None:
    section = README.partition("## Figures")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        command = re.search(r"`(?:python (benchmarks/\w+\.py)[^`]*|make (\w+))` \|$", row)
        assert command is not None, row
        if command[1]:
            assert (ROOT / command[1]).is_file(), row
        else:
            assert re.search(rf"^{command[2]}:", (ROOT / "Makefile").read_text(), re.M), row


def test_every_path_named_exists() -> None:
    for place in re.findall(r"^\| `([\w/.]+)`", README, re.MULTILINE):
        assert (ROOT / place).exists(), place
    for link in re.findall(r"\]\((\S+?)\)", README):
        assert (ROOT / link).exists(), link
    for place in re.findall(r"`((?:pipelines|plumbline|workflows|serving)/[\w/]+\.py)`", README):
        assert (ROOT / place).is_file(), place


def test_python_is_searched_for_and_its_absence_explained(tmp_path: Path) -> None:
    (tmp_path / "python3.12").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3.12").chmod(0o755)
    nothing = subprocess.run(
        [str(ROOT / "find-python.sh")], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (nothing.returncode, nothing.stdout) == (0, "")
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "find-python.sh"), "--explain"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "needs Python 3.10, 3.11 or 3.12" in done.stderr and "apt-get install" in done.stderr

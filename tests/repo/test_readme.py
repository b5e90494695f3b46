"""Every command, option, file and name in the README exists."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from plumbline import cli
from plumbline.serving.client.client import Client
from plumbline.stages.run_all import STAGES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == ""
    for line in block.splitlines()
    if line.startswith(("make", "python", "plumbline"))
]
GROUP = typer.main.get_command(cli.app)
WRITTEN = "config.yaml"
"""The file that `init` writes in the README's example."""


def parsed(words: list[str]) -> dict[str, Any]:
    """The values of a command line of `plumbline`, without running it."""
    command = GROUP.commands[words[0]]
    with command.make_context("plumbline", words[1:]) as context:
        return context.params


def words_of(line: str) -> list[str]:
    """The command line of `plumbline` for a line of the README."""
    words = line.split()
    if words[0] == "plumbline":
        return words[1:]
    file = f"{words[2].replace('.', '/')}.py" if words[1] == "-m" else words[1]
    (name,) = re.findall(r'main\("(\w+)"\)', (ROOT / file).read_text(encoding="utf-8"))
    rest = words[3 if words[1] == "-m" else 2 :]
    return rest if name == "client" else [name, *rest]


def test_the_first_screen_has_run_and_test() -> None:
    first_screen = "\n".join(README.splitlines()[:20])
    assert "make run" in first_screen and "make test" in first_screen


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make")])
def test_make_targets_exist(line: str) -> None:
    target = line.split()[1]
    done = subprocess.run(
        ["make", "--dry-run", "--question", target], cwd=ROOT, capture_output=True, text=True
    )
    assert "No rule to make target" not in done.stderr


@pytest.mark.parametrize(
    "line", [line for line in COMMANDS if not line.startswith("make") and "[" not in line]
)
def test_commands_parse(line: str) -> None:
    given = parsed(words_of(line))
    if "config" in given:
        assert given["config"].name in {f.name for f in (ROOT / "configs").iterdir()} | {WRITTEN}


def test_the_options_are_those_of_run_all() -> None:
    block = next(block for _, block in BLOCKS if "[--config" in block)
    offered = {name for parameter in GROUP.commands["run"].params for name in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", block)) == offered
    engines = re.search(r"--engine ([\w|]+)", block)
    assert engines is not None
    for engine in engines.group(1).split("|"):
        parsed(["run", "--engine", engine])


def test_every_stage_named_is_a_command() -> None:
    sentence = re.search(r"Each stage is a command too(.*?), as in", README, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence.group(1)) == list(STAGES)
    for name in STAGES:
        assert (ROOT / "pipelines" / f"{name}.py").is_file()


def test_python_examples_use_what_exists() -> None:
    """The client's; `test_readme_graph.py` runs the graph."""
    (example,) = [b for language, b in BLOCKS if language == "python" and "Client" in b]
    tree = ast.parse(example)
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert called == {"read_parquet", "score"} and hasattr(Client, "score")


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

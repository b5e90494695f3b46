"""The README's commands are the repository's: every option, file and name in them exists."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from plumbline.serving.client.client import Client
from plumbline.stages.command import run_parser
from plumbline.stages.init import init_parser
from plumbline.stages.run_all import NAMES
from tests.conftest import ROOT, Command

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == ""
    for line in block.splitlines()
    if line.startswith(("make", "python"))
]


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


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("python p")])
def test_pipeline_commands_parse(line: str) -> None:
    words = line.removesuffix(" --out runs/NAME").split()
    assert (ROOT / words[1]).is_file()
    if "[" in line:  # the line of options: each is known to --help
        words = words[:2]
    if words[1] == "pipelines/init.py":
        assert init_parser().parse_args(words[2:]).files
        return
    options = run_parser("").parse_args(words[2:])
    written = {init_parser().parse_args(["FILE"]).out.name}
    assert options.config.name in {file.name for file in (ROOT / "configs").iterdir()} | written


def test_the_options_are_those_of_run_all(command: Command, capsys: pytest.CaptureFixture) -> None:
    named = set(re.findall(r"--[a-z]+", next(block for _, block in BLOCKS if "[--config" in block)))
    assert command("pipelines/run_all.py", "--help").returncode == 0
    offered = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert named == offered


def test_every_stage_named_is_a_command() -> None:
    sentence = re.search(r"Each stage is a command too(.*?), as in", README, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence.group(1)) == NAMES
    for name in NAMES:
        assert (ROOT / "pipelines" / f"{name}.py").is_file()


def test_python_examples_use_what_exists() -> None:
    (example,) = [block for language, block in BLOCKS if language == "python"]
    tree = ast.parse(example)
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert called == {"read_parquet", "score"} and hasattr(Client, "score")


def test_every_place_named_exists() -> None:
    for place in re.findall(r"^\| `([\w/.]+)`", README, re.MULTILINE):
        assert (ROOT / place).exists(), place
    for link in re.findall(r"\]\((\S+?)\)", README):
        assert (ROOT / link).exists(), link
    for place in re.findall(
        r"`((?:pipelines|features|workflows|dlrm|serving)/[\w/]+\.py)`", README
    ):
        assert (ROOT / place).is_file(), place


def test_python_is_searched_for_and_its_absence_explained(tmp_path: Path) -> None:
    (tmp_path / "python3.11").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3.11").chmod(0o755)
    nothing = subprocess.run(
        [str(ROOT / "find-python.sh")], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (nothing.returncode, nothing.stdout) == (0, "")
    told = subprocess.run(
        ["/bin/sh", str(ROOT / "find-python.sh"), "--explain"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert "needs Python 3.10 or 3.11" in told.stderr and "apt-get install" in told.stderr


def test_the_lock_pins_every_line_exactly() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 100
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+==[\w.]+(; python_version (<|>=) \"3\.11\")?", pin), pin

"""Every command of `plumbline`: its `--help`, its errors, and how quickly it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from plumbline import cli
from plumbline.stages.run_all import STAGES
from tests.conftest import ROOT, Command

UNITS = {"INDEX", "SECONDS", "ROWS", "REQUESTS", "PORT", "DIFFERENCE", "PROCESSES", "BYTES"}
SLOW = {
    "torch",
    "nvtabular",
    "merlin",
    "dask",
    "pandas",
    "polars",
    "pyarrow",
    "numpy",
    "tritonclient",
    "pyspark",
}
"""Libraries that take up to seconds to import. `--help` must not import them."""

FILES = {
    **{f"pipelines/{stage}.py": stage for stage in STAGES},
    "pipelines/run_all.py": "run",
    "pipelines/init.py": "init",
    "serving/client.py": "client",
    "serving/server.py": "server",
    "serving/verify.py": "verify",
    "serving/acceptance.py": "accept",
    "serving/probe.py": "probe",
}


def commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    group = typer.main.get_command(cli.app) if group is None else group
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(commands())
PARAMETERS = [
    pytest.param(command, parameter, id=f"{name}-{parameter.name}")
    for name, command in COMMANDS.items()
    for parameter in command.params
]


def test_the_commands_are_the_documented_ones() -> None:
    others = {
        *("run", "init", "operators", "kernels", "server", "score", "verify", "accept"),
        *("probe", "publish", "status", "compare", "drift"),
    }
    assert COMMANDS.keys() == others | {"client score"} | STAGES.keys()


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_help_has_a_text_a_default_and_a_unit(command: Any, parameter: Any) -> None:
    with command.make_context("plumbline", [], resilient_parsing=True) as context:
        left, right = parameter.get_help_record(context)
    assert re.match(r"\w.*[.,…\w]  \[", right), f"{left}: wanted a help text"
    assert "default: " in right or "required" in right, f"{left}: wanted a default"
    assert "default: None" not in right
    if parameter.type_descriptor.annotation in (int, float):
        assert parameter.metavar in UNITS, f"{left}: wanted a unit for its name"


def test_the_commands_are_listed_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.app(["--help"])
    shown = capsys.readouterr().out
    groups = re.findall(r"^(\w.*):\n((?:  .*\n)+)", shown, re.MULTILINE)
    listed = {title: re.findall(r"^  (\w+) ", body, re.MULTILINE) for title, body in groups}
    assert listed["Single stages, in order"] == list(STAGES)
    assert {"init", "run", "status"} < set(listed["From a log to a report"])
    assert {name for names in listed.values() for name in names} == COMMANDS.keys() - {
        "client score"
    }
    assert "Exit status: 0 done, 2 an error in one line, 3 drift --fail-above" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_listed_in_groups_where_there_are_many(name: str) -> None:
    options = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    if len(options) > 7:
        without = [p.name for p in options if p.rich_help_panel is None]
        assert without == [], f"{name}: wanted rich_help_panel for {without}"
    with COMMANDS[name].make_context("plumbline", [], resilient_parsing=True) as context:
        shown = COMMANDS[name].get_help(context)
    for panel in {p.rich_help_panel for p in options} - {None}:
        assert shown.count(f"\n{panel}:\n") == 1
    for option in options:
        assert f"  {option.opts[0]}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_shown_for_every_command(name: str, command: Command) -> None:
    ended = command("plumbline/__main__.py", *name.split(), "--help")
    assert ended.returncode == 0 and ended.stderr == ""


def test_operators_are_listed_with_what_they_do() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "plumbline", "operators"], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert lines["FillMissing"] == "replace missing numbers, integers or texts by a value"
    assert {"Categorify", "TargetEncoding", "QuantileTransform", "AddTags"} < lines.keys()


@pytest.mark.parametrize(("file", "name"), FILES.items())
def test_each_file_runs_its_command(file: str, name: str, command: Command) -> None:
    assert f'main("{name}")' in (ROOT / file).read_text(encoding="utf-8")
    ended = command(file, "--no-such-option")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: No such option: --no-such-option")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing command. See plumbline --help."),
        (("runn",), "No such command 'runn'. Did you mean 'run'? See plumbline --help."),
        (("run", "--data"), "--data: wanted a value, got none. See plumbline run --help."),
        (("run", "--out", "--force"), "--out: wanted a value, got none."),
        (
            ("run", "--engine", "polars"),
            "'--engine': 'polars' is not one of 'auto', 'native', 'nvtabular'",
        ),
        (("run", "--to", "moon"), "'moon' is not one of generate, ingest, etl"),
        (("etl", "x"), "Got unexpected extra argument(s) (x). See plumbline etl --help."),
        (("score",), "Missing argument 'FILE'."),
        (("score", "f", "--in-flight", "0"), "--in-flight"),
        (("run", "--\x1b[31m"), "--\\x1b[31m"),
        (("run", "--config", "[red]\n.yaml"), "[red] .yaml"),
        (("run", "--data", "log.csv"), "Give the configuration of your log with --config"),
        (("export", "--url", "h:1"), "--url: wanted --publish with it."),
        (("publish", "--protocol", "grpc"), "--protocol: wanted --url with it"),
        (("server", ".", "--tls-key", "k"), "TLS: wanted --tls-certificate and --tls-key"),
        (("server", ".", "--allow-model-control"), "secret"),
        (("verify", "."), "missing from the model repository."),
        (("accept", ".", "127.0.0.1:1"), "config.pbtxt: missing"),
        (("probe", "127.0.0.1:1", "--repository", "."), "config.pbtxt: missing"),
        (("probe", "127.0.0.1:1"), "Give --repository, or set PLUMBLINE_REPOSITORY."),
        (("score", "nothing.csv", "--url", "127.0.0.1:1"), "127.0.0.1:1"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    words: tuple[str, ...], message: str, command: Command
) -> None:
    ended = command("plumbline/__main__.py", *words)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1, ended.stderr
    assert message in ended.stderr


def test_several_files_after_one_option(command: Command) -> None:
    ended = command(
        "plumbline/__main__.py", "ingest", "--config", ROOT / "configs" / "criteo.yaml",
        "--data", "one.txt", "two.txt",
    )  # fmt: skip
    assert ended.returncode == 2 and "one.txt" in ended.stderr


def test_ctrl_c_is_status_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("plumbline.stages.stage.Stage.ensure", interrupted)
    ended = command("pipelines/generate.py", "--force", "--out", "a run")
    assert ended.returncode == 130
    script = ROOT / "pipelines/generate.py"
    goes_on = f"python {script} --out 'a run'"
    assert ended.stderr == f"interrupted: complete stages stay; it goes on with: {goes_on}\n"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["score", "--help"]])
def test_help_loads_no_slow_library(words: list[str]) -> None:
    check = (
        "import atexit, runpy, sys\n"
        f"slow = lambda: sorted({SLOW!r} & sys.modules.keys())\n"
        "atexit.register(lambda: print('loaded:', slow()))\n"
        "runpy.run_module('plumbline', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"

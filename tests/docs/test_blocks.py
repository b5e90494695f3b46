"""Every block of code on every page is run by a test, or says why it is not; its commands parse."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from plumbline.settings import Config
from tests.conftest import ROOT
from tests.docs.blocks import ALL, LANGUAGES, Block, blocks_of
from tests.docs.command_lines import problem, simple_commands

NEEDED = {
    "name": "shop",
    "log": {"columns": {"user": "integer", "at": "time", "click": "label"}},
    "split": {"by": "rows", "valid": 0.1, "test": 0.1},
    "workflow": {"graph": "standard"},
}
"""The keys that a configuration needs, for blocks that show some of the others."""


def of(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.place) for block in ALL if block.language in languages]


@pytest.mark.parametrize("block", of("sh", "python"))
def test_code_is_run_by_a_test_or_says_why_not(block: Block) -> None:
    assert (block.run_by is None) != (block.not_run is None), (
        f"{block.place}: wanted a line before the block, <!-- run by TEST --> or "
        "<!-- not run: why -->; see tests/docs/blocks.py"
    )


@pytest.mark.parametrize("block", [block for block in ALL if block.run_by is not None])
def test_the_test_that_runs_a_block_takes_it_from_the_page(block: Block) -> None:
    assert block.run_by is not None
    test = ROOT / block.run_by
    assert test.is_file(), f"{block.place}: there is no {block.run_by}"
    name = block.page.relative_to(ROOT).as_posix()
    assert f'"{name}"' in test.read_text(encoding="utf-8"), (
        f"{block.place}: {block.run_by} does not name {name}"
    )


@pytest.mark.parametrize("block", [block for block in ALL if block.language not in LANGUAGES])
def test_code_is_fenced_with_its_language(block: Block) -> None:
    assert block.language == "", f"{block.place}: {block.language} is none of {LANGUAGES}"
    code = re.search(
        r"^\s*(plumbline|python|make|curl|docker|kubectl|import|from|def|[\w_]+:) ",
        block.text,
        re.M,
    )
    is_fence = "```" in block.page.read_text(encoding="utf-8").splitlines()[block.line - 2]
    assert code is None and not is_fence, f"{block.place}: wanted ```sh, ```python or ```yaml"


@pytest.mark.parametrize("block", of("sh"))
def test_commands_have_the_options_that_the_page_shows(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    for words in simple_commands(block.text):
        assert problem(words) is None, f"{block.place}: {' '.join(words)}: {problem(words)}"


@pytest.mark.parametrize("block", of("python"))
def test_python_has_no_error_of_syntax(block: Block) -> None:
    ast.parse(block.text, block.place)


@pytest.mark.parametrize("block", of("json"))
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"))
def test_settings_are_those_of_a_configuration(block: Block) -> None:
    Config.model_validate({**NEEDED, **yaml.safe_load(block.text)})


def test_markers_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run by tests/docs/test_demo.py as a service -->\n```sh\nplumbline run\n```\n\n"
        "- item\n\n  <!-- not run: it needs a GPU -->\n  ```python\n  x = 1\n  ```\n\n"
        "<!-- runs -->\n```sh\nmake\n```\n\n    indented\n"
    )
    first, second, third, fourth = blocks_of(page)
    assert (first.run_by, first.is_service, first.line) == ("tests/docs/test_demo.py", True, 3)
    assert (second.not_run, second.text) == ("it needs a GPU", "x = 1\n")
    assert (third.run_by, third.not_run) == (None, None)
    assert (fourth.language, fourth.text) == ("", "indented\n")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("plumbline run --config configs/criteo.yaml", None),
        ("PLUMBLINE_SECRET=x plumbline server runs/a | head  # a comment", None),
        ("python -m serving.server runs/a --http-port 0 && make lint", None),
        ("python pipelines/run_all.py \\\n  --nproc 2", None),
        ("torchrun --nproc-per-node 2 pipelines/train.py --device cpu", None),
        ("curl h:1 -d '{\n  1}'; plumbline status runs/a", None),
        ("plumbline run --confg a.yaml", "No such option"),
        ("plumbline runn", "no such command"),
        ("plumbline run --config configs/nothing.yaml", "there is no configs/nothing.yaml"),
        ("export A=1; plumbline score", "Missing argument"),
        ("python pipelines/nothing.py", "there is no file"),
        ("python -m benchmarks.nothing", "there is no module"),
        ("python pipelines/etl.py --from etl", "No such option"),
        ("make nothing", "no target nothing"),
        ("make env GPUS=1", "no variable GPUS"),
        ("wget x", "not a program that pages may show"),
    ],
)
def test_a_wrong_command_is_found(line: str, wrong: str | None) -> None:
    found = [problem(words) for words in simple_commands(line)]
    assert found
    if wrong is None:
        assert found == [None] * len(found)
    else:
        assert any(wrong in (one or "") for one in found)

"""What the image is made of and how it starts, without an image: see docs/deployment.md."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

from plumbline.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "serving" / "deploy"
GATEWAY_PORT = 8080
SECRET = "/run/secrets/plumbline/secret"
PYTHON = "3.12"
"""The image's."""


def test_the_image_listens_on_the_gateways_port() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^EXPOSE (.*)", dockerfile, re.MULTILINE) == [str(GATEWAY_PORT)]
    assert 'ENTRYPOINT ["plumbline-serve"]' in dockerfile
    assert re.search(r"^USER (.*)", dockerfile, re.MULTILINE)[1] == "1000:1000"
    assert os.access(DEPLOY / "serve.sh", os.X_OK)


@pytest.mark.parametrize("has_secret", [True, False])
def test_the_image_starts_the_launcher(tmp_path: Path, has_secret: bool) -> None:
    secret = tmp_path / "secret"
    if has_secret:
        secret.write_text("0123456789abcdef")
    script = (DEPLOY / "serve.sh").read_text(encoding="utf-8")
    assert script.count(SECRET) == 1
    program = tmp_path / "plumbline"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script.replace(SECRET, str(secret)), "sh", "--no-gateway"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PLUMBLINE_REPOSITORY": "/models/m"},
        capture_output=True,
        text=True,
        check=True,
    )
    given = done.stdout.split()
    assert given[:4] == ["server", "/models/m", "--host", "0.0.0.0"]
    assert given[-1] == "--no-gateway", "the caller's options come last, and count"
    assert (f"--secret-file {secret}" in " ".join(given)) is has_secret
    known = {
        name
        for parameter in typer.main.get_command(app).commands["server"].params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word for word in given if word.startswith("--")} <= known


def test_the_image_gets_the_sources_of_the_wheel() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'"(\w+)"', re.search(r"wheel\.packages = (.*)", project)[1]))
    shipped = set(re.findall(r'^"([\w/]+)" = "plumbline/shipped/', project, re.MULTILINE))
    built_by = {"pyproject.toml", "README.md", "native", "native/CMakeLists.txt"}
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (?:--chmod=\d+ )?(\w[\w./-]*) ", dockerfile, re.MULTILINE))
    assert packages | shipped | {"serving"} | built_by | copied == kept
    assert all((ROOT / name).exists() for name in kept)


def test_the_images_packages_are_the_locks() -> None:
    lock = {
        f"{pin.name}{pin.specifier}"
        for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
        if (pin := Requirement(line)).marker is None
        or pin.marker.evaluate({"python_version": PYTHON})
    }
    lines = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert set(pins) <= lock and pins == sorted(set(pins), key=str.lower)
    names = {pin.partition("==")[0] for pin in pins}
    assert names.isdisjoint({"torch", "nvtabular", "dask", "pandas", "polars", "cloudpickle"})

"""A server with the model of the page's tests, and the settings of a gateway before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.gateway.settings import GatewaySettings, Limits
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.repository.export import write_repository
from tests.page_model import SETTINGS, page_release

SECRET = "a secret of the test's own"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    folder = tmp_path_factory.mktemp("page")
    write_repository(page_release(folder), folder / "repository", SETTINGS)
    options = ServerOptions(allow_model_control=True, secret=SECRET)
    with TritonServer(folder / "repository", folder / "server", options=options) as running:
        yield running


def settings_of(server: TritonServer, limits: Limits, **changes: Any) -> GatewaySettings:
    metrics = f"127.0.0.1:{server.ports.metrics}"
    settings = GatewaySettings(-1, server.http_url, metrics, FUSED_MODEL, limits=limits)
    return replace(settings, repository=str(server.repository), **changes)

"""Import the backend's modules outside Triton."""

import sys
from collections.abc import Iterator

import pytest

from tests.serving.backend import triton_backend


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Makes the modules that run inside Triton importable. Returns the lines that they log."""
    lines: list[str] = []
    backend = triton_backend.module(lines)
    monkeypatch.setitem(sys.modules, backend.__name__, backend)
    entries = ("serving.models.ctr_fused", "serving.gpu_models.ctr_fused")
    ours = ("plumbline.serving.backend.model", "plumbline.serving.backend.column_metrics")
    modules = (*ours, *entries)
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield lines
    for module in modules:
        sys.modules.pop(module, None)

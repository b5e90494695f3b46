"""Memory of embedding rows is checked before it is allocated."""

from __future__ import annotations

import psutil
import pytest
import torch

from plumbline.base.errors import ConfigError
from plumbline.dlrm.ops.embedding.memory import available_memory, empty_rows, require_memory


def test_rows_without_memory_are_refused_before_allocation():
    tables = {"c0": 2_000_000, "c1": 10, "c2": 1_000_000_000}
    with pytest.raises(ConfigError) as raised:
        require_memory(tables, 128 * 4, available=16 * 10**9)
    message = str(raised.value)
    assert "wanted memory for 517.03 GB of rows and optimizer state" in message
    assert "but 16.00 GB is available" in message
    assert "The largest tables: c2 516.00 GB, c0 1.03 GB, c1 0.00 GB." in message
    assert "rows: bf16, lower model.embedding_dim, or raise frequency_threshold" in message


def test_rows_that_just_fit_are_accepted():
    require_memory({"c0": 100}, 16 * 2, available=100 * (16 * 2 + 4))
    with pytest.raises(ConfigError):
        require_memory({"c0": 100}, 16 * 2, available=100 * (16 * 2 + 4) - 1)


def test_without_a_control_group_the_systems_estimate_counts(tmp_path):
    got, wanted = available_memory(tmp_path), psutil.virtual_memory().available
    assert abs(got - wanted) < 0.2 * wanted  # other processes take and free it


@pytest.mark.parametrize(
    ("folder", "limit", "usage", "prefix"),
    [
        (".", "memory.max", "memory.current", ""),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ],
)
def test_the_control_group_limits_the_memory(tmp_path, folder, limit, usage, prefix):
    group = tmp_path / folder
    group.mkdir(exist_ok=True)
    (group / limit).write_text("3000\n")
    (group / usage).write_text("2500\n")
    (group / "memory.stat").write_text("anon 7\n")
    assert available_memory(tmp_path) == 500
    (group / "memory.stat").write_text(f"{prefix}active_file 300\n{prefix}inactive_file 20\n")
    assert available_memory(tmp_path) == 820
    (group / usage).write_text("9000\n")
    assert available_memory(tmp_path) == 0


def test_a_control_group_without_a_limit(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert available_memory(tmp_path) > 1_000_000


def test_large_rows_are_ordinary_memory():
    rows_RD = empty_rows((1_500_000, 3), torch.float32)
    rows_RD.fill_(2.0)
    assert rows_RD.sum().item() == 9_000_000

"""What is done before training or scoring starts on a GPU, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from plumbline.base.errors import ConfigError
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.score.torch_scoring import TorchScoring
from plumbline.dlrm.train.device import prepare
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
from plumbline.nvtabular.merlin_data import merlin_schema
from plumbline.settings import Training

PRODUCTS = torch.backends.cuda.matmul
SETTINGS = Training(learning_rate=0.1, embedding_learning_rate=0.1)


def fast() -> tuple[bool, bool, bool]:
    """What torch may round in products: sums of bf16, sums of fp16, float32 factors."""
    return (
        PRODUCTS.allow_bf16_reduced_precision_reduction,
        PRODUCTS.allow_fp16_reduced_precision_reduction,
        PRODUCTS.allow_tf32,
    )


@pytest.fixture(autouse=True)
def all_fast() -> Iterator[None]:
    before = fast()

    def set_to(bf16: bool, fp16: bool, tf32: bool) -> None:
        PRODUCTS.allow_bf16_reduced_precision_reduction = bf16
        PRODUCTS.allow_fp16_reduced_precision_reduction = fp16
        PRODUCTS.allow_tf32 = tf32

    set_to(True, True, True)
    yield
    set_to(*before)


def trainer_of(name: str, world: Any) -> None:
    if name == "fused":
        FusedTrainer(world.architecture, SETTINGS, 3, "cuda")
    else:
        MerlinTrainer(world.architecture, SETTINGS, 3, "cuda", merlin_schema(world.plan))


@pytest.mark.parametrize("name", ["fused", "merlin"])
def test_a_trainer_sums_in_float32_and_asks_for_the_gpus_memory(world, monkeypatch, name) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1000, 2000))
    with pytest.raises(ConfigError, match=r"but 0\.00 GB is available on the GPU\. The largest"):
        trainer_of(name, world)
    assert fast() == (False, False, False)


def test_rows_that_just_fit_on_the_gpu(world, monkeypatch) -> None:
    rows = sum(world.architecture.cardinalities)
    for dtype, row_bytes in (("fp32", 4 * 4), ("bf16", 4 * 2)):
        architecture = replace(world.architecture, embedding_rows=dtype)
        free = rows * (row_bytes + 4)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 10**12))  # noqa: B023
        prepare("cuda", architecture)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free - 1, 10**12))  # noqa: B023
        with pytest.raises(ConfigError, match="on the GPU"):
            prepare("cuda", architecture)


def test_scoring_on_a_gpu_sums_in_float32(world) -> None:
    state = DLRM(world.architecture, 3).state_dict()
    TorchScoring(DLRM.of_weights(world.architecture, state), "bf16", None)
    assert fast() == (True, True, True)
    with FakeTensorMode():
        on_gpu = {n: torch.empty(t.shape, dtype=t.dtype, device="cuda") for n, t in state.items()}
        TorchScoring(DLRM.of_weights(world.architecture, on_gpu), "bf16", None)
    assert fast() == (False, False, False)

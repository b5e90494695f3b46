"""The compiled CUDA kernels: registers, stack and shared memory on each architecture."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from types import ModuleType

import pytest
import torch

from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.interaction.cuda import CudaInteraction
from plumbline.dlrm.ops.library import cuda_module
from plumbline.dlrm.ops.scoring.cuda import CudaScoring
from plumbline.dlrm.score.native_scoring import scoring_shape
from tests.dlrm.kernels import ladder_embedding, ladder_interaction, ladder_scoring

REGISTERS = {
    "interaction_forward_tensor": 128,  # of four warps: shared memory limits how many there are
    "interaction_backward_tensor": 128,
    "interaction_forward_mma": 128,
    "interaction_backward_mma": 128,
    "interaction_forward_general": 128,  # eight blocks of 64 threads fill a processor's registers
    "interaction_backward_general": 128,
    "linear_relu_general": 64,  # four blocks of 256 threads fill a processor's registers
    "linear_relu_mma": 96,  # five blocks of four warps
    "round_dense": 40,
    "score_lists": 40,
    "click_probability": 64,
    "embedding_gather": 64,  # 32 warps a processor
    "embedding_gather_common": 72,
    "embedding_pool": 64,
    "embedding_update_parts": 72,
    "embedding_update_parts_quads": 72,
    "embedding_update_spans": 72,
    "embedding_update_long_spans": 72,
}
"""Most registers per thread, on any architecture."""

NUMBERS = {
    "interaction_forward_tensor": 2,
    "interaction_backward_tensor": 2,
    "interaction_forward_mma": 8,  # and lengths of vectors
    "interaction_backward_mma": 8,
    "interaction_forward_general": 3,
    "interaction_backward_general": 3,
    "linear_relu_general": 4,  # and tiles
    "linear_relu_mma": 2,  # of bfloat16: tiles
    "round_dense": 2,
    "score_lists": 4,
    "click_probability": 2,
    "embedding_gather": 6,
    "embedding_gather_common": 24,
    "embedding_pool": 6,
    "embedding_update_parts": 6,
    "embedding_update_parts_quads": 6,
    "embedding_update_spans": 2,
    "embedding_update_long_spans": 2,
}
"""Number of dtype combinations of each kernel."""

ARCHITECTURES = (70, 75, 80, 90, 100, 120)
STATIC_SHARED_BYTES = 48 * 1024

ENTRY = re.compile(
    r"Compiling entry function '_ZN9plumbline(?P<mangled>\w+)' for 'sm_(?P<architecture>\d+)'"
    r".*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Kernel:
    """ptxas's report of one kernel on one architecture."""

    name: str
    architecture: int
    registers: int
    stack: int
    spilled: int
    shared: int


@pytest.fixture(scope="module")
def module() -> ModuleType:
    native = cuda_module()
    if native is None:
        pytest.skip("the CUDA kernels were not built: there was no nvcc, or PLUMBLINE_NATIVE=0")
    return native


@pytest.fixture(scope="module")
def kernels(module: ModuleType) -> list[Kernel]:
    return [_kernel(entry) for entry in ENTRY.finditer(module.resources())]


def _kernel(entry: re.Match[str]) -> Kernel:
    length = re.match(r"\d+", entry["mangled"])
    assert length is not None
    name = entry["mangled"][length.end() :][: int(length[0])]
    shared = re.search(r"(\d+) bytes smem", entry["rest"])
    return Kernel(
        name,
        int(entry["architecture"]),
        int(entry["registers"]),
        int(entry["stack"]),
        int(entry["stores"]) + int(entry["loads"]),
        int(shared[1]) if shared else 0,
    )


def test_every_kernel_is_built_for_every_architecture_that_nvcc_has(kernels: list[Kernel]) -> None:
    architectures = {kernel.architecture for kernel in kernels}
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        listed = subprocess.run(
            [nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True
        )
        known = {int(name) for name in re.findall(r"compute_(\d+)$", listed.stdout, re.MULTILINE)}
        assert architectures == known & set(ARCHITECTURES)
    for architecture in architectures:
        names = [kernel.name for kernel in kernels if kernel.architecture == architecture]
        assert {name: names.count(name) for name in names} == NUMBERS, f"sm_{architecture}"


def test_nothing_is_spilled_and_registers_are_within_their_limits(kernels: list[Kernel]) -> None:
    for kernel in kernels:
        assert kernel.spilled == 0 and kernel.stack == 0, kernel
        assert kernel.registers <= REGISTERS[kernel.name], kernel
        assert kernel.shared <= STATIC_SHARED_BYTES, kernel


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_every_launch_says_so(module: ModuleType) -> None:
    """Shows that arguments are accepted, and that only a launch needs the driver."""
    interaction, embedding = CudaInteraction(module), CudaEmbedding(module)
    pairs = ladder_interaction.draw(2, 3, 8, True, torch.float32)
    look_ups = ladder_embedding.draw(
        ladder_embedding.Shape((4, 5), (False, True), rows=3, dim=8), torch.float32
    )
    no_ids = torch.empty(3, 0, dtype=torch.int64)
    lists = replace(look_ups, columns=replace(look_ups.columns, ids_BF=no_ids))
    out_BVD = torch.empty(3, 2, 8)
    for launch in (
        lambda: ladder_interaction.run_forward(interaction, pairs),
        lambda: ladder_interaction.run_backward(interaction, pairs),
        lambda: ladder_embedding.look_up(embedding, look_ups, out_BVD),
        lambda: ladder_embedding.look_up(embedding, lists, out_BVD),
        lambda: ladder_embedding.update(embedding, look_ups, adagrad=True),
    ):
        with pytest.raises(RuntimeError, match=r"CUDA device cannot be queried.*: .*CUDA"):
            launch()
    model = ladder_scoring.model_of(ladder_scoring.ARCHITECTURES["lists too"])
    shape, weights = scoring_shape(model.architecture), ladder_scoring.arrays(model)
    with pytest.raises(RuntimeError, match=r"the current CUDA device: .*CUDA"):
        CudaScoring(module, 0, shape, weights, "bf16", 8)
    assert module.memory_kind() == 2, "DLPack's number of CUDA's memory"

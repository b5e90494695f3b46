"""The emulation and the ladders detect faults inserted into the kernels' sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.interaction.cuda import CudaInteraction
from tests.dlrm.kernels import far_memory, ladder_embedding, ladder_interaction
from tests.dlrm.kernels.emulated import Device
from tests.dlrm.kernels.seeded_faults import Fault, FaultyModule

TENSOR, GENERAL = "interaction_tensor.cuh", "interaction_general.cuh"
INTERACTION = (
    Fault(
        "no warp barrier after a fragment is stored",
        TENSOR,
        "__syncwarp();  // the lanes below read what other lanes stored in `tile`",
        "",
        "interaction_forward_tensor, block .*, thread .*: read of .* (no barrier|never written)",
    ),
    Fault(
        "no warp barrier before the next fragment is stored",
        TENSOR,
        "__syncwarp();  // the next tile of dots takes its place",
        "",
        "shared memory .* with no barrier since|that was never written",
    ),
    Fault(
        "no warp barrier before the next row is copied",
        TENSOR,
        "__syncwarp();  // the next row takes its place",
        "",
        "shared memory .* with no barrier since|that was never written",
    ),
    Fault(
        "a warp barrier that one lane does not reach, at a row's end",
        TENSOR,
        "__syncwarp();  // the next row takes its place",
        "if (lane != 5) __syncwarp();",
        "threads wait for others that never arrive: .* 5 has ended|different operations",
    ),
    Fault(
        "a warp barrier that one lane does not reach, before a product of all lanes",
        TENSOR,
        "__syncwarp();  // the next tile takes its place",
        "if (lane != 5) __syncwarp();",
        "interaction_backward_tensor, .*: lanes meet in different operations: .*mma_sync",
    ),
    Fault(
        "no warp barrier after a fragment of the gradient is stored",
        TENSOR,
        "__syncwarp();  // the lanes below read what other lanes stored\n",
        "",
        "interaction_backward_tensor, .*: read of shared memory .* no barrier|was never written",
    ),
    Fault(
        "no block barrier before the next part is copied",
        GENERAL,
        "__syncthreads();  // the part before has been read",
        "",
        "interaction_forward_general, .*: write of shared memory .* with no barrier since",
    ),
    Fault(
        "a block barrier that one thread does not reach",
        GENERAL,
        "__syncthreads();  // both parts have been copied",
        "if (threadIdx.x != 5) __syncthreads();",
        "read of shared memory that was never written|no barrier since",
    ),
    Fault(
        "a stride that fits one length of vectors only",
        TENSOR,
        "padded_dim + kSkew",
        "128 + kSkew",
        "shared access to items|of shared memory",
    ),
    Fault(
        "a stride that is one short",
        TENSOR,
        "top * memory.vector_stride + k",
        "top * (memory.vector_stride - 1) + k",
        "not aligned to 32 bytes|out of bound",
    ),
    Fault(
        "padding of the vectors is not zeroed",
        TENSOR,
        "fill_zero(vectors, memory.vector_items(), lane);  // rows N and items D onwards stay zero",
        "",
        "read of shared memory that was never written",
    ),
    Fault(
        "padding of the result is not zeroed",
        TENSOR,
        "first_zero + lane",
        "memory.row_items",
        "read of shared memory that was never written",
    ),
    Fault(
        "padding of the result is left as it was",
        GENERAL,
        "shape.first_zero() + threadIdx.x",
        "shape.width()",
        "the padding is not zero",
    ),
    Fault(
        "the diagonal counts as a dot",
        TENSOR,
        "j < i && i < shape.vectors()",
        "j <= i && i < shape.vectors()",
        "write of shared memory .* no barrier|out of bound|no exact copy",
    ),
    Fault(
        "one dot too few",
        GENERAL,
        "other < one && one < shape.vectors()",
        "other < one && one < shape.vectors() - 1",
        "out of bound",
    ),
)
FAR_INTERACTION = Fault(
    "offsets of 32 bits",
    TENSOR,
    "b * shape.features * shape.dim",
    "int64_t(int(unsigned(b) * unsigned(shape.features * shape.dim)))",
    "global access to items -2147483",
)

UPDATE = "embedding_update.cuh"
EMBEDDING = (
    Fault(
        "no barrier between the lanes' reads of a state and its write",
        UPDATE,
        "__syncwarp(lanes);  // all lanes have read the state",
        "",
        "a row is not near enough",
    ),
    Fault(
        "the part's end is not cut",
        UPDATE,
        "min(begin + kPart, shape.count)",
        "begin + kPart",
        "embedding_update_parts, .*: global access to items",
    ),
    Fault(
        "the occurrence before the first one is read",
        UPDATE,
        "first == begin && first > 0 && row[first - 1] == of",
        "first == begin && row[first - 1] == of",
        "global access to items -1 to -1",
    ),
    Fault(
        "both sums of a part in one place",
        UPDATE,
        "(began_before ? 0 : 1)",
        "0",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "the last part of a row is left out",
        UPDATE,
        "each <= last",
        "each < last",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "the random bits of another element",
        UPDATE,
        "static_cast<uint32_t>(element) ^ k0",
        "static_cast<uint32_t>(element + 1) ^ k0",
        "a row is not near enough",
    ),
    Fault(
        "quads that reach beyond a row's end",
        "numbers.cuh",
        "first + each < end ? to_float(array[first + each]) : 0.0f",
        "to_float(array[first + each])",
        "global access to items|is not near enough|not exact",
    ),
)

FAR_EMBEDDING = Fault(
    "offsets of 32 bits",
    "embedding_gather.cuh",
    "(first_row[column] + id) * shape.dim",
    "int64_t(int(unsigned(first_row[column] + id) * unsigned(shape.dim)))",
    "a look-up of a far row is wrong",
)

ONE_PROCESSOR = Device(compute_capability=90, shared_kib=227, processors=1)
SEEDS = (0, 1, 2)


def climb_interaction(module: FaultyModule, seed: int) -> None:
    """A short ladder whose shapes cover every path of the sources, also more rows than threads."""
    module.module.emulate(ONE_PROCESSOR, seed)
    kernels = CudaInteraction(module.module)
    for dtype, rows, features, dim in (
        (torch.bfloat16, 5, 26, 40),
        (torch.bfloat16, 131, 2, 8),
        (torch.bfloat16, 2, 17, 136),
        (torch.float32, 2, 35, 72),
        (torch.float32, 2, 3, 9),
    ):
        ladder_interaction.check_forward(kernels, rows, features, dim, True, dtype)
        ladder_interaction.check_backward(kernels, rows, features, dim, True, dtype)


def climb_embedding(module: FaultyModule, seed: int) -> None:
    module.module.emulate(ONE_PROCESSOR, seed)
    kernels = CudaEmbedding(module.module)
    for shape in (
        ladder_embedding.Shape((3, 4), (True, False), rows=50, dim=37),
        ladder_embedding.Shape((2, 6), (False, False), rows=130, dim=24),
    ):
        for dtype in ladder_embedding.ROW_DTYPES:
            case = ladder_embedding.draw(shape, dtype, seed=seed)
            ladder_embedding.check_look_up(kernels, case, torch.float32)
            ladder_embedding.check_update(kernels, case, adagrad=True)


def far_interaction(module: FaultyModule) -> None:
    far_memory.check_far_rows(module.module, compute_capability=90)


def far_embedding(module: FaultyModule) -> None:
    far_memory.check_far_table(module.module)


@dataclass(frozen=True)
class Ladder:
    """The faults of an operator, and the checks that must detect them."""

    faults: tuple[Fault, ...]
    climb: Callable[[FaultyModule, int], None]
    far_fault: Fault
    climb_far: Callable[[FaultyModule], None]


LADDERS = {
    "interaction": Ladder(INTERACTION, climb_interaction, FAR_INTERACTION, far_interaction),
    "embedding": Ladder(EMBEDDING, climb_embedding, FAR_EMBEDDING, far_embedding),
}


@pytest.mark.parametrize("operator", LADDERS)
def test_every_fault_is_found(operator: str, tmp_path: Path) -> None:
    """Every fault is detected under every schedule tried, and none without a fault."""
    ladder = LADDERS[operator]
    module = FaultyModule(operator, (*ladder.faults, ladder.far_fault), tmp_path)
    for seed in SEEDS:
        module.choose(None)
        ladder.climb(module, seed)
        for fault in ladder.faults:
            module.choose(fault)
            with pytest.raises((RuntimeError, AssertionError), match=fault.says):
                ladder.climb(module, seed)
                pytest.fail(f"not found under seed {seed}: {fault.name}")
    module.choose(ladder.far_fault)
    with pytest.raises((RuntimeError, AssertionError), match=ladder.far_fault.says):
        ladder.climb_far(module)
        pytest.fail("offsets of 32 bits are not found")

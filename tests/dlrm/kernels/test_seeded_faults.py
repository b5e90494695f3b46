"""The emulation and the ladders detect faults inserted into the kernels' sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.interaction.cuda import CudaInteraction, Form
from tests.dlrm.kernels import far_memory, ladder_embedding, ladder_interaction
from tests.dlrm.kernels.emulated import Device
from tests.dlrm.kernels.seeded_faults import Fault, FaultyModule

TENSOR, GENERAL = "interaction_tensor.cuh", "interaction_general.cuh"
MMA, FORWARD, BACKWARD = (f"interaction_mma{part}.cuh" for part in ("", "_forward", "_backward"))
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
INTERACTION_MMA = (
    Fault(
        "the copies of a row are not waited for, forward",
        FORWARD,
        "cp_async_wait<1>();",
        "",
        r"interaction_forward_mma, .*: read .* before thread \d+ waited for its copy to it",
    ),
    Fault(
        "the copies of a row are not waited for, backward",
        BACKWARD,
        "cp_async_wait<1>();",
        "",
        r"interaction_backward_mma, .*: read .* before thread \d+ waited for its copy to it",
    ),
    Fault(
        "one group of copies too few is waited for",
        FORWARD,
        "cp_async_wait<1>();",
        "cp_async_wait<2>();",
        r"interaction_forward_mma, .*: read .* before thread \d+ waited for its copy to it",
    ),
    Fault(
        "copies that belong to no group",
        BACKWARD,
        "cp_async_commit();",
        "",
        r"interaction_backward_mma, .*: read .* before thread \d+ waited for its copy to it",
    ),
    Fault(
        "no warp barrier after the wait, forward",
        FORWARD,
        "__syncwarp();  // every lane's copies of this row have arrived",
        "",
        "interaction_forward_mma, .*: read .* (no barrier since|before thread .* waited|written)",
    ),
    Fault(
        "no warp barrier after the wait, backward",
        BACKWARD,
        "__syncwarp();  // every lane's copies of this row have arrived",
        "",
        "interaction_backward_mma, .* (no barrier since|before thread .* waited|never written)",
    ),
    Fault(
        "no warp barrier before the dots of other lanes are read",
        FORWARD,
        "__syncwarp();  // the lanes below read dots of other lanes",
        "",
        "interaction_forward_mma, .*: (read|write) of shared memory .* no barrier since",
    ),
    Fault(
        "no warp barrier before the next rows, forward",
        FORWARD,
        "__syncwarp();  // the next rows take the place of these",
        "",
        "interaction_forward_mma, .*: write of shared memory .* no barrier since",
    ),
    Fault(
        "no warp barrier before the next rows, backward",
        BACKWARD,
        "__syncwarp();  // the next rows take the place of these",
        "",
        "interaction_backward_mma, .*: write of shared memory .* no barrier since",
    ),
    Fault(
        "no warp barrier before the results take the vectors' place",
        BACKWARD,
        "__syncwarp();  // the results below take the place of the vectors",
        "",
        "interaction_backward_mma, .*: write of shared memory .* no barrier since",
    ),
    Fault(
        "no warp barrier before the results of other lanes are read",
        BACKWARD,
        "__syncwarp();  // the lanes below read results of other lanes",
        "",
        "interaction_backward_mma, .*: (read|write) of shared memory .* no barrier since",
    ),
    Fault(
        "a warp barrier that one lane does not reach, before a load of all lanes",
        FORWARD,
        "__syncwarp();  // every lane's copies of this row have arrived",
        "if (lane != 5) __syncwarp();",
        "interaction_forward_mma, .*: lanes meet in different operations: .*ldmatrix",
    ),
    Fault(
        "the next row is copied over this one",
        FORWARD,
        "own + (memory.stage - stage)",
        "own + stage",
        "shared memory at byte .* (no barrier since|before thread .* waited)",
    ),
    Fault(
        "vectors past the last one are read",
        MMA,
        "min(top + lane % kTile, shape.vectors())",
        "lane % kTile + top",
        "shared access to items|never written|before thread .* waited|out of bound",
    ),
    Fault(
        "the lines of a block's lower half are those of its upper half",
        MMA,
        "top + lane % kTile",
        "top + lane % kPackItems",
        "out of bound",
    ),
    Fault(
        "the halves of a block are exchanged",
        MMA,
        "lane / kTile * kPackItems",
        "(1 - lane / kTile) * kPackItems",
        "out of bound",
    ),
    Fault(
        "lines of vectors without their distance",
        MMA,
        "(line + lane / kPacks) * kStride",
        "(line + lane / kPacks) * D",
        "shared memory .* (no barrier since|never written|waited)|out of bound",
    ),
    Fault(
        "lines that share banks",
        MMA,
        "line * kStride",
        "line * (kStride - kSkew)",
        "ldmatrix of lines that share banks",
    ),
    Fault(
        "packs that start in the middle of one",
        MMA,
        "lane % kPacks * kPackItems",
        "lane % kPacks * kPackItems + 4",
        "not aligned to 16 bytes",
    ),
    Fault(
        "one vector too few is copied",
        MMA,
        "is_row ? features_ : 0",
        "is_row ? features_ - 1 : 0",
        "out of bound",
    ),
    Fault(
        "a row past the batch's end is copied",
        FORWARD,
        "left > 1",
        "left > 0",
        "interaction_forward_mma, .*: global access to items",
    ),
    Fault(
        "right factors of the wrong half",
        FORWARD,
        "lower[half + 2]",
        "lower[half + 1]",
        "out of bound",
    ),
    Fault(
        "dots on the diagonal",
        FORWARD,
        "column + 1 < line",
        "column < line",
        "write of shared memory .* no barrier since|out of bound",
    ),
    Fault(
        "dots of the padding vectors in the padding of a row",
        FORWARD,
        "(i < shape.vectors() ? 0 : padding)",
        "0",
        "a value that is not finite is in the padding",
    ),
    Fault(
        "nothing is zeroed, forward",
        FORWARD,
        "fill_zero(own, memory.items, lane);",
        "",
        "interaction_forward_mma, .*: read of shared memory that was never written",
    ),
    Fault(
        "nothing is zeroed, backward",
        BACKWARD,
        "fill_zero(own, memory.items, lane);",
        "",
        "interaction_backward_mma, .*: read of shared memory that was never written",
    ),
    Fault(
        "the dense vector's direct gradient is left out",
        BACKWARD,
        "shape.has_dense ? vectors : -1",
        "-1",
        "out of bound",
    ),
    Fault(
        "lines of the symmetric matrix of other vectors",
        BACKWARD,
        "(i < vectors ? dots_of(i) : zeros)",
        "dots_of(lane / 4)",
        "out of bound",
    ),
    Fault(
        "columns of the symmetric matrix one line off",
        BACKWARD,
        "dots_of(j) + lane / 4",
        "dots_of(j) + lane / 4 + 1",
        "out of bound",
    ),
    Fault(
        "results of the lines below take the place of those above",
        BACKWARD,
        "rounded_pair<T>(sum[below * 2], sum[below * 2 + 1])",
        "rounded_pair<T>(sum[0], sum[1])",
        "out of bound",
    ),
)
FAR_INTERACTION = (
    Fault(
        "offsets of 32 bits, wmma",
        TENSOR,
        "b * shape.features * shape.dim",
        "int64_t(int(unsigned(b) * unsigned(shape.features * shape.dim)))",
        "global access to items -2147483",
    ),
    Fault(
        "offsets of 32 bits, mma",
        MMA,
        "rows.first * items",
        "int64_t(int(unsigned(rows.first) * unsigned(items)))",
        "global access to items -2147483",
    ),
)

UPDATE, GATHER = "embedding_update.cuh", "embedding_gather_common.cuh"
QUADS = "embedding_update_quads.cuh"
EMBEDDING = (
    Fault(
        "the place of another lane's row",
        GATHER,
        "__shfl_sync(kAll, from, (first + each) * kAtOnce + of_group)",
        "__shfl_sync(kAll, from, (first + each) * kAtOnce)",
        "a look-up is not exact",
    ),
    Fault(
        "a lane that is not there when others take its place",
        GATHER,
        "start[each] = __shfl_sync(kAll, to, (first + each) * kAtOnce + of_group);",
        "start[each] = to; if (to != kNone) "
        "start[each] = __shfl_sync(kAll, to, (first + each) * kAtOnce + of_group);",
        "threads wait for others that never arrive|different operations",
    ),
    Fault(
        "lanes past the last id look one up",
        GATHER,
        "item < count",
        "item - lane < count",
        "embedding_gather_common, .*: global access to items",
    ),
    Fault(
        "groups of twice the lanes",
        GATHER,
        "lane % kLanes * kItems",
        "lane % (2 * kLanes) * kItems",
        "a look-up is not exact|global access to items",
    ),
    Fault(
        "the column is not carried into the next row",
        GATHER,
        "column >= columns",
        "column > columns",
        "global access to items|a look-up is not exact",
    ),
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

EMBEDDING_QUADS = (
    Fault(
        "no warp barrier before a part is read",
        QUADS,
        "__syncwarp();  // the groups below read what other lanes stored",
        "",
        "embedding_update_parts_quads, .*: read of shared memory .*(no barrier|never written)",
    ),
    Fault(
        "no warp barrier before the next part",
        QUADS,
        "__syncwarp();  // the next part takes the place of this one",
        "",
        "embedding_update_parts_quads, .*: (read|write) of shared memory .* no barrier since",
    ),
    Fault(
        "rows that are counted from themselves on",
        QUADS,
        "(1u << lane) - 1",
        "(1u << lane)",
        "no barrier since|never written|shared access to items",
    ),
    Fault(
        "the lane before is this one",
        QUADS,
        "max(lane - 1, 0)",
        "max(lane, 0)",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "occurrences past the last one",
        QUADS,
        "min(lane, items - 1)",
        "lane",
        "embedding_update_parts_quads, .*: global access to items",
    ),
    Fault(
        "the numbers of this row for the next one",
        QUADS,
        "load_ahead(number + groups);",
        "load_ahead(number);",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "the state of the part's first row",
        QUADS,
        "memory.state[first] + mean",
        "memory.state[0] + mean",
        "a state is not near enough",
    ),
    Fault(
        "a row that continues is stepped",
        QUADS,
        "number == count - 1 && goes_on",
        "false",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "no block barrier before the sums of other groups are added",
        UPDATE,
        "__syncthreads();  // the groups' sums so far",
        "",
        "embedding_update_long_spans, .* (no barrier since|never written)",
    ),
    Fault(
        "a block barrier that some groups do not reach",
        UPDATE,
        "if (group >= apart) continue;",
        "if (group >= apart) break;",
        "threads wait for others that never arrive|no barrier since",
    ),
    Fault(
        "rows with very many occurrences are stepped twice",
        UPDATE,
        "last - part > kLong",
        "false",
        "a row is not near enough|a state is not near enough",
    ),
    Fault(
        "a group leaves out its first part",
        UPDATE,
        "part + 1 + group",
        "part + 1 + group + groups",
        "a row is not near enough|a state is not near enough",
    ),
)
FAR_EMBEDDING = (
    Fault(
        "offsets of 32 bits, any length",
        "embedding_gather.cuh",
        "(first_row[column] + id) * shape.dim",
        "int64_t(int(unsigned(first_row[column] + id) * unsigned(shape.dim)))",
        "a look-up of a far row is wrong|global access to items",
    ),
    Fault(
        "offsets of 32 bits, common lengths",
        GATHER,
        "(first_row[column] + id) * D",
        "int64_t(int(unsigned(first_row[column] + id) * unsigned(D)))",
        "a look-up of a far row is wrong|global access to items",
    ),
)

ONE_PROCESSOR = Device(compute_capability=90, shared_kib=227, processors=1)
FEW_WARPS = Device(compute_capability=90, shared_kib=48, processors=1)
SEEDS = (0, 1, 2)


def climb_interaction(module: FaultyModule, seed: int) -> None:
    """A short ladder whose shapes cover every path of the sources, also more rows than threads."""
    module.module.emulate(FEW_WARPS, seed)
    kernels = CudaInteraction(module.module, Form.MMA)
    for rows, features, dim in ((18, 26, 32), (5, 12, 64)):
        ladder_interaction.check_forward(kernels, rows, features, dim, True, torch.bfloat16)
        ladder_interaction.check_backward(kernels, rows, features, dim, True, torch.bfloat16)
    ladder_interaction.check_rows_are_apart(kernels, 3, 4, 16, True, torch.bfloat16)
    module.module.emulate(ONE_PROCESSOR, seed)
    kernels = CudaInteraction(module.module, Form.WMMA)
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
    gathered = ladder_embedding.Shape((3, 4, 5), (False,) * 3, rows=2735, dim=16)
    case = ladder_embedding.draw(gathered, torch.float32, seed=seed)
    ladder_embedding.check_look_up(kernels, case, torch.bfloat16)
    quads = ladder_embedding.Shape((300, 4), (False, True), rows=21, dim=16)
    ladder_embedding.check_update(
        kernels, ladder_embedding.draw(quads, torch.bfloat16, seed=seed), adagrad=True
    )
    for shape in (
        ladder_embedding.Shape((3, 4), (True, False), rows=50, dim=37),
        ladder_embedding.Shape((2, 6), (False, False), rows=130, dim=24),
    ):
        for dtype in ladder_embedding.ROW_DTYPES:
            case = ladder_embedding.draw(shape, dtype, seed=seed)
            ladder_embedding.check_look_up(kernels, case, torch.float32)
            ladder_embedding.check_update(kernels, case, adagrad=True)
    many = ladder_embedding.draw(gathered, torch.float32, seed=seed)
    ladder_embedding.check_update(kernels, many, adagrad=True)


def far_interaction(module: FaultyModule) -> None:
    for form in (Form.WMMA, Form.MMA):
        far_memory.check_far_rows(module.module, form)


def far_embedding(module: FaultyModule) -> None:
    for dim in (24, 32):
        far_memory.check_far_table(module.module, dim)


@dataclass(frozen=True)
class Ladder:
    """The faults of an operator, and the checks that must detect them."""

    faults: tuple[Fault, ...]
    climb: Callable[[FaultyModule, int], None]
    far_faults: tuple[Fault, ...]
    climb_far: Callable[[FaultyModule], None]


LADDERS = {
    "interaction": Ladder(
        INTERACTION + INTERACTION_MMA, climb_interaction, FAR_INTERACTION, far_interaction
    ),
    "embedding": Ladder(EMBEDDING + EMBEDDING_QUADS, climb_embedding, FAR_EMBEDDING, far_embedding),
}


@pytest.mark.parametrize("operator", LADDERS)
def test_every_fault_is_found(operator: str, tmp_path: Path) -> None:
    """Every fault is detected under every schedule tried, and none without a fault."""
    ladder = LADDERS[operator]
    module = FaultyModule(operator, (*ladder.faults, *ladder.far_faults), tmp_path)
    for seed in SEEDS:
        module.choose(None)
        ladder.climb(module, seed)
        for fault in ladder.faults:
            module.choose(fault)
            with pytest.raises((RuntimeError, AssertionError), match=fault.says):
                ladder.climb(module, seed)
                pytest.fail(f"not found under seed {seed}: {fault.name}")
    for fault in ladder.far_faults:
        module.choose(fault)
        with pytest.raises((RuntimeError, AssertionError), match=fault.says):
            ladder.climb_far(module)
            pytest.fail(f"not found: {fault.name}")

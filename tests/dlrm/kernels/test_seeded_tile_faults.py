"""The interaction's ladder and the emulation of tiles detect faults inserted into the sources."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch

from plumbline.dlrm.ops.interaction.cpu import CpuInteraction
from tests.dlrm.kernels import ladder_interaction as ladder
from tests.dlrm.kernels.amx_interaction import AmxInteraction
from tests.dlrm.kernels.seeded_faults import NUMBER, Fault, put_faults

FORWARD, BACKWARD, LINES = (
    f"interaction_amx_{part}.h" for part in ("forward", "backward", "lines")
)
OUT = "out of bound"
FAULTS = (
    Fault(
        "the tile of an off-diagonal block keeps older sums",
        FORWARD,
        "if constexpr (!kDiagonal) tiles.zero<1>();",
        "",
        OUT,
    ),
    Fault(
        "the upper block's rows for the lower block",
        FORWARD,
        "tiles.dot_bf16<2, 5, 6>();",
        "tiles.dot_bf16<2, 4, 6>();",
        f"{OUT}|tiles: a product of 16 × 8 and 8 × 16 entries into 10 × 16",
    ),
    Fault(
        "panels as high as a whole product, where a vector is shorter",
        FORWARD,
        "for (int tile = 6; tile < 8; ++tile) shapes.set(tile, sizes_.pairs, kTileBytes);",
        "for (int tile = 6; tile < 8; ++tile) shapes.set(tile, kTileRows, kTileBytes);",
        "tiles: a product of 16 × 8 and 16 × 16 entries",
    ),
    Fault("a stride in elements, not bytes", FORWARD, "row.dim * 2", "row.dim", OUT),
    Fault(
        "the last block goes past the last vector",
        FORWARD,
        "block + 1 < sizes_.blocks ? 1 + block * kTileRows : sizes_.count - rows",
        "1 + block * kTileRows",
        f"{OUT}|written past the scratch memory",
    ),
    Fault(
        "the next row's panels in the place of this row's",
        FORWARD,
        "start_packing(b + 1, stages_[(b + 1) % 2])",
        "start_packing(b + 1, stages_[b % 2])",
        OUT,
    ),
    Fault(
        "the last pieces of a row are not transposed",
        FORWARD,
        "parts_of(blocks, pairs_of_blocks * (pairs_of_blocks + 1) / 2)",
        "1",
        OUT,
    ),
    Fault("the last columns of a panel are zero", FORWARD, "columns > 8", "columns > 11", OUT),
    Fault(
        "dots past a row's end", FORWARD, "end - (to + j)", "kLine", "past the result's end|" + OUT
    ),
    Fault(
        "padding of the result is left as it was",
        FORWARD,
        "std::memset(to, 0, static_cast<size_t>(end - to) * 2);",
        "",
        "the padding is not zero",
    ),
    Fault(
        "copied vectors end with what the memory held",
        FORWARD,
        "std::memset(stage.vectors, 0, static_cast<size_t>(sizes_.count * sizes_.length) * 2);",
        "",
        OUT,
    ),
    Fault("two equal lines of a transposed block", LINES, "low_quads + 1", "low_quads + 0", OUT),
    Fault(
        "an odd number of vectors has a partner for the last",
        BACKWARD,
        "k + 1 < sizes_.count ? line(k + 1) : Line{}",
        "line(k + 1)",
        OUT,
    ),
    Fault(
        "S of the row before stays in the tiles",
        BACKWARD,
        "unit.line == 0 || sizes_.steps > 1 || sizes_.blocks > 2",
        "sizes_.steps > 1 || sizes_.blocks > 2",
        OUT,
    ),
    Fault(
        "padding of S and of pairs is what the memory held",
        BACKWARD,
        "std::memset(scratch, 0, static_cast<size_t>(AmxBackward::scratch(shape)));",
        "",
        OUT,
    ),
    Fault(
        "the direct gradient of half a line only",
        BACKWARD,
        "count > kLanes ? load(direct + kLanes, count - kLanes) : Floats{}",
        "Floats{}",
        OUT,
    ),
    Fault(
        "the next row's S in the place of this row's",
        BACKWARD,
        "stages_[row % 2].symmetric",
        "stages_[0].symmetric",
        OUT,
    ),
    Fault(
        "halves of a line in each other's place",
        BACKWARD,
        "tiles.load<7>(pairs + 1, pair);",
        "tiles.load<7>(pairs, pair);",
        OUT,
    ),
)
SHAPES = ((26, 16), (26, 64), (5, 37), (40, 40))
"""(features, dim): vectors shorter than a product, whole lines, an odd length, many blocks."""


def climb(kernels: CpuInteraction) -> None:
    for features, dim in SHAPES:
        ladder.check_forward(kernels, 3, features, dim, True, torch.bfloat16)
        ladder.check_backward(kernels, 3, features, dim, True, torch.bfloat16)


def test_every_fault_is_found(tmp_path: Path) -> None:
    """Every fault is detected, and none without a fault."""
    numbers = put_faults(FAULTS, "cpu", "interaction_loops.cpp", tmp_path)
    module = AmxInteraction(tmp_path / "cpu", tmp_path / "amx_interaction.so")
    chosen = ctypes.c_int.in_dll(module.library, NUMBER)
    kernels = CpuInteraction(module, "emulatedamx")
    climb(kernels)
    for fault, number in numbers.items():
        chosen.value = number
        with pytest.raises((RuntimeError, AssertionError), match=fault.says):
            climb(kernels)
            pytest.fail(f"not found: {fault.name}")

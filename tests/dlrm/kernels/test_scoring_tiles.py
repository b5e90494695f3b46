"""Scoring's layers on emulated tiles, and faults in their sources, each of which a layer detects.

Legend: B rows, I inputs, O outputs of a layer.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.dlrm.kernels.amx_interaction import OPTIONS
from tests.dlrm.kernels.seeded_faults import NUMBER, Fault, put_faults

PROGRAM = Path(__file__).with_name("amx_scoring.cpp")
MATRIX, LAYERS = "scoring_matrix.h", "scoring_amx.h"
PANEL, GROUP, TILE = 16, 64, 16

WRONG = "bf16|int8|tiles: a product"
FAULTS = (
    Fault("sums of the block before", MATRIX, "tiles.zero<3>();", "(void)tiles;", WRONG),
    Fault(
        "the upper rows for the lower ones",
        MATRIX,
        "Products::template add<3, 5, 7>(tiles);",
        "Products::template add<3, 4, 7>(tiles);",
        WRONG,
    ),
    Fault(
        "the first panel's weights for the second",
        MATRIX,
        "tiles.load<7>(weight + kPanel, step * 4);",
        "tiles.load<7>(weight, step * 4);",
        WRONG,
    ),
    Fault(
        "weights of one group as of another",
        MATRIX,
        "(left < kPanelsInGroup ? left : kPanelsInGroup)",
        "kPanelsInGroup",
        WRONG,
    ),
    Fault("the tail of the first rows for all", MATRIX, "own.tail += row * kTileBytes;", "", WRONG),
    Fault(
        "entries of the first rows for all", MATRIX, "own.entries += row * rows.stride;", "", WRONG
    ),
    Fault(
        "a product of the depth is left out", MATRIX, "k < rows.whole", "k + 1 < rows.whole", WRONG
    ),
    Fault(
        "rows past the last one are written",
        MATRIX,
        "keep(row + r * kTileRows, panel + c, r + 1 < R ? kTileRows : last, sums[r][c]);",
        "keep(row + r * kTileRows, panel + c, kTileRows, sums[r][c]);",
        WRONG,
    ),
    Fault(
        "padding of the tail is what the memory held",
        LAYERS,
        "std::memset(to, 0, kTileBytes);",
        "std::memset(to, 0xFF, kTileBytes);",
        WRONG,
    ),
    Fault(
        "numbers past the width are written",
        LAYERS,
        "width - panel * kPanel",
        "kPanel + 0 * panel",
        WRONG,
    ),
    Fault("one row's scale for all", LAYERS, "in.scale[row + r]", "in.scale[row]", WRONG),
)
SHAPES = ((1, 5, 3), (16, 32, 16), (17, 33, 20), (47, 70, 150), (64, 128, 65))
"""(rows, inputs, outputs)."""


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> tuple[ctypes.CDLL, dict[Fault, int]]:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the kernels")
    folder = tmp_path_factory.mktemp("sources")
    numbers = put_faults(FAULTS, "cpu", "scoring_int8_loops.cpp", folder)
    library = folder / "amx_scoring.so"
    options = [*OPTIONS, "-ffp-contract=off", "-I", str(folder / "cpu")]
    subprocess.run(["g++", *options, str(PROGRAM), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library)), numbers


def packed(weight_OI: NDArray[np.generic], entries: int) -> NDArray[np.generic]:
    """As scoring_packing.h says; `entries` numbers are a lane."""
    outputs, inputs = weight_OI.shape
    depth = -(-inputs // (entries * TILE)) * TILE
    panels = -(-outputs // PANEL)
    whole = np.zeros((panels * PANEL, depth * entries), weight_OI.dtype)
    whole[:outputs, :inputs] = weight_OI
    lanes = whole.reshape(panels * PANEL, depth, entries)
    groups = [
        lanes[first : first + GROUP].transpose(1, 0, 2) for first in range(0, len(lanes), GROUP)
    ]
    return np.concatenate([group.reshape(-1) for group in groups])


def padded(values: NDArray[np.float32], outputs: int) -> NDArray[np.float32]:
    return np.pad(values, (0, -outputs % PANEL))


def call(function: ctypes._CFuncPtr, *arguments: NDArray[np.generic] | int) -> None:
    function.restype = ctypes.c_char_p
    wrong = function(
        *(ctypes.c_int64(a if isinstance(a, int) else a.ctypes.data) for a in arguments)
    )
    if wrong is not None:
        raise RuntimeError(wrong.decode())


def bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    return torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()


def check_bf16(library: ctypes.CDLL, rows: int, inputs: int, outputs: int) -> None:
    """NaN behind each row's inputs reaches no output, and nothing past the width is written."""
    generator = np.random.default_rng(rows)
    input_BI = generator.integers(-8, 9, (rows, inputs)).astype(np.float32)
    weight_OI = generator.integers(-8, 9, (outputs, inputs)).astype(np.float32)
    bias_O = generator.integers(-8, 9, outputs).astype(np.float32)
    stride, width = inputs + 9, outputs + 1
    stored = np.full((rows, stride), 0x7FFF, np.uint16)
    stored[:, : inputs + inputs % 2] = bits(np.pad(input_BI, ((0, 0), (0, inputs % 2))))
    out = np.full((rows + PANEL, width + PANEL), 0x1234, np.uint16)
    weight = packed(bits(weight_OI), 2)
    depth, panels = -(-inputs // 2), -(-outputs // PANEL)
    bias = padded(bias_O, outputs)
    call(
        library.layer_in_bf16, weight, bias, depth, panels, stored, stride, out, out.shape[1],
        outputs, rows,
    )  # fmt: skip
    wanted = bits(np.maximum(input_BI @ weight_OI.T + bias_O, 0))
    np.testing.assert_array_equal(out[:rows, :outputs], wanted, f"bf16 {rows} {inputs} {outputs}")
    assert (out[rows:] == 0x1234).all() and (out[:rows, outputs:] == 0x1234).all(), "bf16: past"


def check_int8(library: ctypes.CDLL, rows: int, inputs: int, outputs: int) -> None:
    generator = np.random.default_rng(rows)
    stride = -(-inputs // 64) * 64
    input_BI = np.zeros((rows, stride), np.int8)
    input_BI[:, :inputs] = generator.integers(-127, 128, (rows, inputs))
    weight_OI = generator.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    bias_O = generator.normal(size=outputs).astype(np.float32)
    scale_O, scale_B = (generator.random(n).astype(np.float32) for n in (outputs, rows))
    depth, panels = -(-inputs // 4), -(-outputs // PANEL)
    out = np.full((rows + PANEL, panels * PANEL), np.float32(7))
    weight = packed(weight_OI, 4)
    bias, scale = padded(bias_O, outputs), padded(scale_O, outputs)
    call(
        library.layer_in_int8, weight, scale, bias, depth, panels, input_BI, scale_B, stride, out,
        out.shape[1], rows,
    )  # fmt: skip
    sum_BO = input_BI[:, :inputs].astype(np.int64) @ weight_OI.T.astype(np.int64)
    product_BO = sum_BO.astype(np.float32) * scale_B[:, np.newaxis]
    wanted = np.maximum(product_BO * scale_O + bias_O, 0)
    np.testing.assert_array_equal(out[:rows, :outputs], wanted, f"int8 {rows} {inputs} {outputs}")
    assert (out[rows:] == 7).all(), "int8: past the last row"


def climb(library: ctypes.CDLL) -> None:
    for shape in SHAPES:
        check_bf16(library, *shape)
        check_int8(library, *shape)


def test_layers_on_tiles(tested) -> None:
    climb(tested[0])


def test_every_fault_is_found(tested) -> None:
    library, numbers = tested
    chosen = ctypes.c_int.in_dll(library, NUMBER)
    for fault, number in numbers.items():
        chosen.value = number
        with pytest.raises((RuntimeError, AssertionError), match=fault.says):
            climb(library)
            pytest.fail(f"not found: {fault.name}")
    chosen.value = 0

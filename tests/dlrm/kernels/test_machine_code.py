"""What nvcc makes of the interaction's kernels for common shapes: the main loop works on one row of
the batch a round, so its length is the number of instructions that a warp executes a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.dlrm.ops.library import cuda_module
from tests.dlrm.kernels.machine_code import Loop, main_loop

HOPPER = 90
MOST_INSTRUCTIONS = {"forward": 320, "backward": 520}
"""Of a row with up to 31 vectors of 128 items; the kernels on wmma execute some 2,100 and 4,300."""

PRODUCTS = {"forward": 48, "backward": 64}
"""Of 16×8×16 items: three blocks of 16×16 dots over 128 items; 32×128 results over 32 vectors."""

BLOCKS = 16
"""16×16 blocks of 32 vectors with 128 items, each of which is loaded once."""


@pytest.fixture(scope="module", params=["__nv_bfloat16", "__half"])
def number(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def loop_of(direction: str, number: str) -> Loop:
    native = cuda_module()
    if native is None or native.__file__ is None:
        pytest.skip("the CUDA kernels were not built: there was no nvcc, or PLUMBLINE_NATIVE=0")
    kernel = f"interaction_{direction}_mmaI{len(number)}{number}Li128E"  # mangled
    return main_loop(Path(native.__file__), HOPPER, kernel)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_instructions_a_row(direction: str, number: str) -> None:
    loop = loop_of(direction, number)
    assert len(loop.instructions) <= MOST_INSTRUCTIONS[direction]
    assert loop.count("HMMA") == PRODUCTS[direction]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_blocks_are_loaded_once_as_matrices(direction: str, number: str) -> None:
    loop = loop_of(direction, number)
    assert loop.count("LDSM") == BLOCKS
    assert loop.count("LD", "ST", "LDL", "STL") == 0, "generic or spilled"


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_global_memory_is_copied_asynchronously_and_written_in_packs(
    direction: str, number: str
) -> None:
    loop = loop_of(direction, number)
    assert loop.count("LDG") == 0
    assert loop.count("LDGSTS") == {"forward": 17, "backward": 20}[direction]
    stores = [text for text in loop.instructions if "STG" in text]
    assert stores and all("STG.E.128" in text for text in stores)


@pytest.mark.parametrize(
    ("tile", "products", "blocks"), [("13SquareMmaTile", 16, 8), ("11FlatMmaTile", 8, 8)]
)
def test_a_part_of_the_inputs_of_a_layer_of_scoring(tile: str, products: int, blocks: int) -> None:
    """A warp's products of 16×8×16 items, and its loads of 16×16 blocks, each for several."""
    native = cuda_module()
    if native is None or native.__file__ is None:
        pytest.skip("the CUDA kernels were not built: there was no nvcc, or PLUMBLINE_NATIVE=0")
    kernel = f"linear_relu_mmaI13__nv_bfloat16NS_{tile}E"  # mangled
    loop = main_loop(Path(native.__file__), HOPPER, kernel)
    assert (loop.count("HMMA"), loop.count("LDSM")) == (products, blocks)
    assert loop.count("LDG", "LD", "ST", "LDL", "STL") == 0, "not asynchronous, generic or spilled"

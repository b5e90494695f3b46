"""The emulation and the comparisons find faults put into the sources of scoring on a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.dlrm.ops.scoring.cuda import CudaPrecision, CudaScoring
from plumbline.dlrm.score.native_scoring import scoring_shape
from tests.dlrm.kernels import ladder_scoring as ladder
from tests.dlrm.kernels.emulated import HOPPER, EmulatedModule
from tests.dlrm.kernels.seeded_faults import Fault, FaultyModule

pytestmark = pytest.mark.timeout(600)  # the sources are compiled

MODEL, ROWS, LAYERS, MMA = "scoring_model.cuh", "scoring_rows.cuh", "layers.cuh", "layers_mma.cuh"
WRONG = "Not equal to tolerance|an id is outside"
"""A wrong result, or an id that is none."""
FAULTS = (
    Fault(
        "the layers do not wait for the dense features",
        MODEL,
        "wait_for(work_, dense_is_there_);",
        "",
        WRONG,
    ),
    Fault(
        "the look-ups do not wait for the ids",
        MODEL,
        "wait_for(work_, ids_are_there_);",
        "",
        WRONG,
    ),
    Fault(
        "the ids are recorded before they are copied",
        MODEL,
        "record(ids_are_there_, copies_);",
        "",
        WRONG,
    ),
    Fault(
        "the result is read before the device has it",
        MODEL,
        "synchronize(work_);",
        "",
        WRONG,
    ),
    Fault(
        "the place of wrong ids is not reset",
        MODEL,
        "copy(nowhere, 2, pinned_.outside, sent_.outside);",
        "",
        WRONG,
    ),
    Fault(
        "the second list starts where the first does",
        MODEL,
        "ids += count;",
        "",
        WRONG,
    ),
    Fault(
        "numbers that pad the dense features are not zero",
        ROWS,
        "column < columns ? dense[b * columns + column] : 0.0f",
        "dense[min(b * columns + column, rows * columns - 1)]",
        WRONG,
    ),
    Fault(
        "a list's first maximum is compared with zero",
        ROWS,
        "place == 0 || number > pooled",
        "number > pooled",
        WRONG,
    ),
    Fault(
        "weights of positions run over",
        ROWS,
        "min(place, shape.weights - 1)",
        "place",
        "out of range|global access|outside",
    ),
    Fault(
        "the last layer stops at a whole warp",
        ROWS,
        "k < inputs",
        "k < inputs / kWarp * kWarp",
        WRONG,
    ),
    Fault(
        "no barrier before the next part is stored",
        LAYERS,
        "__syncthreads();  // the part before has been multiplied",
        "",
        "linear_relu_general, .*shared memory .* with no barrier since",
    ),
    Fault(
        "no barrier before a part is multiplied",
        LAYERS,
        "__syncthreads();  // the whole part is there",
        "",
        "linear_relu_general, .*(never written|with no barrier|no barrier)",
    ),
    Fault(
        "the bias is left out",
        LAYERS,
        "sum[i][j] + bias[o]",
        "sum[i][j]",
        WRONG,
    ),
    Fault(
        "a result past the last output",
        LAYERS,
        "b < shape.rows && o < shape.outputs",
        "b < shape.rows",
        "global access|Not equal",
    ),
    Fault(
        "copies are not waited for",
        MMA,
        "cp_async_wait<kLayerStages - 2>();",
        "cp_async_wait<kLayerStages - 1>();",
        r"linear_relu_mma, .*: read .* before thread \d+ waited for its copy to it",
    ),
    Fault(
        "no barrier between parts",
        MMA,
        "__syncthreads();  // the part is there for everybody, and the one before is read",
        "",
        "linear_relu_mma, .*(no barrier|never written|waited for its copy)",
    ),
    Fault(
        "items past the last input are left as they were",
        MMA,
        "if (!is_there) store_wide(to, place, HalfPack<T>{});",
        "",
        "linear_relu_mma, .*never written",
    ),
    Fault(
        "halves of the weights are exchanged",
        MMA,
        "mma_m16n8k16<T>(sum[i][2 * j + half], x[i], w[j][half], w[j][half + 2]);",
        "mma_m16n8k16<T>(sum[i][2 * j + half], x[i], w[j][half + 2], w[j][half]);",
        WRONG,
    ),
)
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> FaultyModule:
    return FaultyModule("scoring", FAULTS, tmp_path_factory.mktemp("faults"))


def climb(module: EmulatedModule) -> None:
    for name, precision, tolerance in (
        ("lists too", "fp32", 1e-6),
        ("lists alone", "fp32", 1e-6),
        ("weighted lists", "fp32", 1e-6),
        ("usual", "bf16", 3e-3),
    ):
        compare(module, name, precision, tolerance)


def compare(module: EmulatedModule, name: str, precision: CudaPrecision, tolerance: float) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    weights = ladder.arrays(model)
    shape = scoring_shape(model.architecture)
    scoring = CudaScoring(module, 0, shape, weights, precision, most_rows=40)
    for count in (3, 37):
        rows = ladder.draw(model.architecture, count, seed=count)
        wanted = ladder.expected(model, rows, precision)
        for number in (0.0, np.nan):
            rows.dense_BC[1] += number  # it is to reach no other row
            got = scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)
            assert got is not None, "an id is outside its table"
            pairs = (np.delete(scores_B, 1) for scores_B in (got.host[:, 0], wanted))
            np.testing.assert_allclose(*pairs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_found_without_a_fault(faulty: FaultyModule, seed: int) -> None:
    faulty.choose(None)
    faulty.module.emulate(HOPPER, seed)
    climb(faulty.module)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_every_fault_is_found(faulty: FaultyModule, fault: Fault) -> None:
    """Under every schedule that is tried."""
    faulty.choose(fault)
    for seed in SEEDS:
        faulty.module.emulate(HOPPER, seed)
        with pytest.raises((RuntimeError, AssertionError), match=fault.says):
            climb(faulty.module)
            pytest.fail(f"not found under seed {seed}: {fault.name}")

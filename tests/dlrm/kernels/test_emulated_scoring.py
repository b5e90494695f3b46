"""A whole model on its CUDA kernels, run by the emulation, against the model in float64.

The emulation's copies and launches run when somebody waits for them, and its new memory is full of
NaN and of ids that no table has.
"""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.cuda import CudaPrecision, CudaScoring
from plumbline.dlrm.score.native_scoring import native_scoring, scoring_shape
from tests.dlrm.kernels import ladder_scoring as ladder
from tests.dlrm.kernels.emulated import AMPERE, HOPPER, TURING, Device, EmulatedModule, compiled

pytestmark = pytest.mark.timeout(600)  # the sources are compiled

PRECISIONS: tuple[CudaPrecision, ...] = ("fp32", "bf16")
MOST_ROWS = 64
ONE_PROCESSOR = Device(compute_capability=90, shared_kib=227, processors=1)


@pytest.fixture(scope="module")
def compiled_module() -> EmulatedModule:
    return compiled("scoring")


@pytest.fixture
def module(compiled_module: EmulatedModule) -> EmulatedModule:
    compiled_module.emulate()
    return compiled_module


def on_gpu(
    module: EmulatedModule,
    model: DLRM,
    precision: CudaPrecision = "fp32",
    most_rows: int = MOST_ROWS,
) -> CudaScoring:
    weights = ladder.arrays(model)
    return CudaScoring(module, 0, scoring_shape(model.architecture), weights, precision, most_rows)


def scored(scoring: CudaScoring, rows: ladder.Rows) -> np.ndarray:
    probability_B1 = scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert probability_B1 is not None
    on_device_B1 = np.from_dlpack(probability_B1)
    np.testing.assert_array_equal(on_device_B1, probability_B1.host)
    return on_device_B1[:, 0].copy()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_equals_the_model(module: EmulatedModule, name: str, precision: CudaPrecision) -> None:
    """In bf16 a sum near the middle of two numbers may round to either, so a few rows differ."""
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    scoring = on_gpu(module, model, precision)
    for count in (0, 1, 2, 7, 64):
        rows = ladder.draw(model.architecture, count, seed=count)
        got, wanted = scored(scoring, rows), ladder.expected(model, rows, precision)
        ladder.assert_equals(got, wanted, count, precision)


@pytest.mark.skipif(cpu_module() is None, reason="no native module here")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_equals_the_scores_of_the_cpu(module: EmulatedModule, precision: CudaPrecision) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["wide"])
    rows = ladder.draw(model.architecture, 64)
    weights = ladder.arrays(model)
    cpu = native_scoring(cpu_module(), model.architecture, weights, precision, 1)
    wanted = cpu.score(rows.ids_BF, rows.dense_BC, rows.bags)
    got = scored(on_gpu(module, model, precision), rows)
    np.testing.assert_allclose(got, wanted, rtol=0, atol={"fp32": 1e-6, "bf16": 3e-3}[precision])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ladder.FEW)
def test_a_row_scores_alone_as_among_others(
    module: EmulatedModule, name: str, precision: CudaPrecision
) -> None:
    """Equal bits at every place of batches for both tiles of the layers' kernels."""
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    scoring = on_gpu(module, model, precision)
    rows = ladder.draw(model.architecture, 64, seed=2)
    together = scored(scoring, rows)
    order = np.random.default_rng(3).permutation(64)
    for cuts in ([8, 17], [1, 2, 34], [16, 32, 48], [9, 63]):
        parts = [scored(scoring, rows.take(part)) for part in np.split(order, cuts)]
        assert np.array_equal(np.concatenate(parts), together[order])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("device", [AMPERE, ONE_PROCESSOR], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_schedules(
    module: EmulatedModule, precision: CudaPrecision, device: Device, seed: int
) -> None:
    """No order of threads and blocks causes a fault or changes a bit."""
    model = ladder.model_of(ladder.ARCHITECTURES["lists too"])
    rows = ladder.draw(model.architecture, 23)
    wanted = scored(on_gpu(module, model, precision), rows)
    module.emulate(device, seed)
    assert np.array_equal(scored(on_gpu(module, model, precision), rows), wanted)


@pytest.mark.parametrize(
    ("device", "precision", "kernel"),
    [
        (TURING, "bf16", "linear_relu_general"),
        (AMPERE, "bf16", "linear_relu_mma"),
        (HOPPER, "bf16", "linear_relu_mma"),
        (HOPPER, "fp32", "linear_relu_general"),
    ],
    ids=str,
)
def test_the_kernels_of_a_device(
    module: EmulatedModule, device: Device, precision: CudaPrecision, kernel: str
) -> None:
    module.emulate(device)
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring, rows = on_gpu(module, model, precision), ladder.draw(model.architecture, 20)
    wanted = ladder.expected(model, rows, precision)
    np.testing.assert_allclose(scored(scoring, rows), wanted, rtol=0, atol=3e-3)
    launched = module.launches()
    assert [name for name in launched if name.startswith("linear")] == 5 * [kernel]
    assert launched[0] == "round_dense" and launched[-1] == "click_probability"


@pytest.mark.parametrize("bag", ["sum", "mean", "max", "position_weighted"])
@pytest.mark.parametrize("rows_in", ["fp32", "bf16"])
def test_lists(module: EmulatedModule, bag: str, rows_in: str) -> None:
    """Longer ones than before, which need more memory, too."""
    of = ladder.architecture(1, 2, 2, 40, (), (9,), bag=bag, rows=rows_in)
    model = ladder.model_of(of)
    scoring = on_gpu(module, model)
    for count in (2, 40, 3):
        rows = ladder.draw(of, count, seed=count)
        wanted = ladder.expected(model, rows, "fp32")
        np.testing.assert_allclose(scored(scoring, rows), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["lists too", "no id column"])
def test_more_rows_than_are_computed_at_a_time(module: EmulatedModule, name: str) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    rows = ladder.draw(model.architecture, 21)
    wanted = scored(on_gpu(module, model), rows)
    assert np.array_equal(scored(on_gpu(module, model, most_rows=8), rows), wanted)


def test_any_strides(module: EmulatedModule) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring, rows = on_gpu(module, model), ladder.draw(model.architecture, 10)
    wanted = scored(scoring, rows)
    turned = ladder.Rows(np.asfortranarray(rows.ids_BF), np.asfortranarray(rows.dense_BC), ())
    backwards = ladder.Rows(rows.ids_BF[::-1], rows.dense_BC[::-1], ())
    assert np.array_equal(scored(scoring, turned), wanted)
    assert np.array_equal(scored(scoring, backwards), wanted[::-1])


@pytest.mark.parametrize("bad", [-1, 2**40, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("bag", ["sum", "max"])
def test_an_id_without_a_row_is_reported(module: EmulatedModule, bad: int, bag: str) -> None:
    model = ladder.model_of(ladder.architecture(4, 3, 5, 8, (17,), (20,), bag=bag))
    scoring = on_gpu(module, model)
    for row in (0, 14, 29):
        rows = ladder.draw(model.architecture, 30)
        rows.ids_BF[row, 2] = bad
        assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None
    rows = ladder.draw(model.architecture, 30)
    rows.bags[1].values[-1] = bad
    assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None
    assert scored(scoring, ladder.draw(model.architecture, 30)).shape == (30,)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_values_that_are_not_finite_reach_no_other_row(
    module: EmulatedModule, precision: CudaPrecision
) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring, rows = on_gpu(module, model, precision), ladder.draw(model.architecture, 30)
    wanted = scored(scoring, rows)
    rows.dense_BC[[3, 17], [0, 1]] = np.nan, np.inf
    got = scored(scoring, rows)
    assert np.isnan(got[3])
    others = np.delete(np.arange(30), [3, 17])
    assert np.array_equal(got[others], wanted[others])


def test_calls_at_the_same_time(module: EmulatedModule) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring = on_gpu(module, model)
    batches = [ladder.draw(model.architecture, 3 + seed, seed) for seed in range(4)]
    wanted = [scored(scoring, rows) for rows in batches]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(scored, [scoring] * 8, batches * 2))
    for one, other in zip(got, wanted * 2, strict=True):
        assert np.array_equal(one, other)


def test_memory_is_taken_again_when_nobody_has_the_result(module: EmulatedModule) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["no id column"])
    scoring, rows = on_gpu(module, model), ladder.draw(model.architecture, 9)

    def result() -> object:
        return scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)

    first = result()
    place = first.block.address
    part = np.from_dlpack(first[2:5])
    np.testing.assert_array_equal(part, first.host[2:5])
    not_taken_over = first.__dlpack__()
    del first
    second = result()
    assert second.block.address != place, "a part of the first is in use"
    del part
    gc.collect()
    third = result()
    assert third.block.address not in (place, second.block.address), "a capsule has it"
    del not_taken_over
    gc.collect()
    assert result().block.address == place


def test_a_result_is_an_array_of_the_host_too(module: EmulatedModule) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    rows = ladder.draw(model.architecture, 6)
    result = on_gpu(module, model).score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert result.shape == (6, 1) and len(result[4:]) == 2
    assert result.__dlpack_device__() == (1, 0), "the emulated device is the CPU"
    np.testing.assert_array_equal(np.asarray(result[1:3][1:]), result.host[2:3])
    assert np.asarray(result) is result.host
    with pytest.raises(ValueError, match="wanted neighbouring ones"):
        result[::2]


def test_what_does_not_fit_is_refused(module: EmulatedModule) -> None:
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    shape, weights = scoring_shape(model.architecture), ladder.arrays(model)
    with pytest.raises(RuntimeError, match="CUDA device 3: invalid device ordinal"):
        CudaScoring(module, 3, shape, weights, "fp32", MOST_ROWS)
    weights["top.1.weight"] = weights["top.1.weight"][:, :60]
    with pytest.raises(RuntimeError, match="scoring: a layer wants 72 inputs, got 64"):
        CudaScoring(module, 0, shape, weights, "fp32", MOST_ROWS)


def test_a_model_that_failed_says_so_again(module: EmulatedModule) -> None:
    """What it had begun may still write to its buffers."""
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring, rows = on_gpu(module, model), ladder.draw(model.architecture, 2)
    scored(scoring, rows)
    module.emulate(Device(compute_capability=90, shared_kib=1, processors=1))
    with pytest.raises(RuntimeError, match="invalid launch"):
        scored(scoring, rows)
    module.emulate()
    with pytest.raises(RuntimeError, match=r"the model failed before: .*invalid launch"):
        scored(scoring, rows)

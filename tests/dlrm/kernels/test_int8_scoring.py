"""Int8 scoring: its specification against the model in float32, and the native forms against it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.cpu import CpuScoring
from plumbline.dlrm.ops.scoring.int8_reference import Int8Reference, quantize
from plumbline.dlrm.score.native_scoring import scoring_shape
from plumbline.dlrm.score.quantization import quantized_weights
from tests.dlrm.kernels import ladder_scoring as ladder
from tests.dlrm.kernels.ladder_scoring import SETS
from tests.dlrm.kernels.tried_sets import tried_sets

needs_native = pytest.mark.skipif(cpu_module() is None, reason="no native module here")


@pytest.fixture(params=SETS)
def instruction_set(request: pytest.FixtureRequest) -> str:
    return ladder.supported(request.param)


def int8_weights(model: DLRM) -> dict[str, np.ndarray]:
    return quantized_weights(model.architecture, ladder.arrays(model))


def reference(model: DLRM) -> Int8Reference:
    return Int8Reference(scoring_shape(model.architecture), int8_weights(model))


def native(model: DLRM, instruction_set: str, threads: int = 1) -> CpuScoring:
    shape = scoring_shape(model.architecture)
    return CpuScoring(cpu_module(), instruction_set, shape, int8_weights(model), "int8", threads)


def scored(scoring: CpuScoring | Int8Reference, rows: ladder.Rows) -> np.ndarray:
    probability_B = scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert probability_B is not None
    return probability_B


def assert_equal_bits(got: np.ndarray, wanted: np.ndarray) -> None:
    """Up to the exponential function of the sigmoid, which NumPy and C round differently."""
    np.testing.assert_array_almost_equal_nulp(got, wanted, 4)


@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_the_reference_is_near_float32(name):
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    rows = ladder.draw(model.architecture, 200)
    got = scored(reference(model), rows)
    np.testing.assert_allclose(got, ladder.expected(model, rows, "fp32"), rtol=0, atol=0.02)


@needs_native
@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_every_instruction_set_equals_the_reference(instruction_set, name):
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    scoring, wanted = native(model, instruction_set), reference(model)
    for count in (0, 1, 2, 7, 333):
        rows = ladder.draw(model.architecture, count, seed=count)
        assert_equal_bits(scored(scoring, rows), scored(wanted, rows))


WIDTHS = st.integers(1, 150)


@needs_native
@given(data=st.data())
def test_any_architecture_equals_the_reference(data):
    """Widths around panels, groups and tiles; every instruction set gives the same bits."""
    lists = data.draw(st.integers(0, 3))
    singles = data.draw(st.integers(0 if lists else 2, 20))
    of = ladder.architecture(
        singles,
        lists,
        data.draw(st.integers(0 if singles + lists > 1 else 1, 4)),
        data.draw(st.integers(1, 70)),
        tuple(data.draw(st.lists(WIDTHS, max_size=2))),
        tuple(data.draw(st.lists(WIDTHS, max_size=3))),
        data.draw(st.sampled_from(["mean", "sum", "max"])),
        data.draw(st.sampled_from(["fp32", "bf16"])),
    )
    model = ladder.model_of(of, data.draw(st.integers(0, 9)))
    rows = ladder.draw(of, data.draw(st.integers(0, 70)), seed=3)
    wanted = scored(reference(model), rows)
    first = None
    for instruction_set in tried_sets():
        got = scored(native(model, instruction_set), rows)
        assert_equal_bits(got, wanted)
        first = got if first is None else first
        assert np.array_equal(got, first)


@needs_native
@given(data=st.data())
def test_a_row_scores_alone_as_among_others(data):
    model = ladder.model_of(ladder.ARCHITECTURES[data.draw(st.sampled_from(ladder.FEW))])
    scoring = native(model, data.draw(st.sampled_from(tried_sets())))
    rows = ladder.draw(model.architecture, 40, seed=2)
    together = scored(scoring, rows)
    order = np.array(data.draw(st.permutations(range(40))))
    cuts = sorted(data.draw(st.sets(st.integers(1, 39), max_size=5)))
    parts = [scored(scoring, rows.take(part)) for part in np.split(order, cuts)]
    assert np.array_equal(np.concatenate(parts), together[order])


@needs_native
def test_any_number_of_threads_gives_equal_bits(instruction_set):
    model = ladder.model_of(ladder.ARCHITECTURES["wide"])
    rows = ladder.draw(model.architecture, 1000)
    wanted = scored(native(model, instruction_set), rows)
    for threads in (2, 5):
        assert np.array_equal(scored(native(model, instruction_set, threads), rows), wanted)
    with ThreadPoolExecutor(4) as pool:
        scoring = native(model, instruction_set, 2)
        for got in pool.map(scored, [scoring] * 8, [rows] * 8):
            assert np.array_equal(got, wanted)


@pytest.mark.parametrize("bad", [-1, 2**40, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("form", ["reference", *SETS])
def test_an_id_without_a_row_is_reported(form, bad):
    model = ladder.model_of(ladder.ARCHITECTURES["lists too"])
    scoring = reference(model) if form == "reference" else native(model, ladder.supported(form))
    for row in (0, 99):
        rows = ladder.draw(model.architecture, 100)
        rows.ids_BF[row, 2] = bad
        assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None
    rows = ladder.draw(model.architecture, 100)
    rows.bags[1].values[-1] = bad
    assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None


@pytest.mark.parametrize("form", ["reference", *SETS])
def test_values_that_are_not_finite_reach_no_other_row(form):
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring = reference(model) if form == "reference" else native(model, ladder.supported(form))
    rows = ladder.draw(model.architecture, 30)
    wanted = scored(scoring, rows)
    rows.dense_BC[[3, 17], [0, 1]] = np.nan, np.inf
    got = scored(scoring, rows)
    assert np.isnan(got[3])
    others = np.delete(np.arange(30), [3, 17])
    assert np.array_equal(got[others], wanted[others])


@needs_native
def test_a_layer_whose_sums_might_overflow_is_refused(instruction_set):
    model = ladder.model_of(ladder.architecture(0, 0, 1, 133_145, (), (1,)))
    with pytest.raises(ValueError, match="an int8 layer wants at most 133144 inputs, got 133145"):
        native(model, instruction_set)


@needs_native
def test_the_largest_numbers_have_exact_sums(instruction_set):
    """All weights and activations are 127, and then weights −127."""
    model = ladder.model_of(ladder.architecture(0, 0, 1, 3000, (), (17,)))
    rows = ladder.Rows(np.empty((3, 0), np.int64), np.ones((3, 1), np.float32), ())
    for sign in (1.0, -1.0):
        with torch.no_grad():
            for layer in (*model.bottom, *model.top):
                layer.weight.fill_(1.0)
                layer.bias.zero_()
            model.top[0].weight.fill_(sign)
            model.top[0].bias.fill_(3000.0)
            model.last.weight.fill_(1e-5)
        assert_equal_bits(
            scored(native(model, instruction_set), rows), scored(reference(model), rows)
        )


def test_quantize_rounds_to_nearest_even_with_the_largest_as_127():
    q, scale = quantize(np.array([[127, 0.5, 1.5, -2.5, -127], [0, 0, 0, 0, 0]], np.float32))
    assert q.tolist() == [[127, 0, 2, -2, -127], [0, 0, 0, 0, 0]]
    assert scale.tolist() == [1, 0]
    tiny, scale = quantize(np.array([[2.0**-61, 0]], np.float32))
    assert (tiny.tolist(), scale.tolist()) == ([[0, 0]], [0])
    for bad in (np.nan, np.inf, -np.inf):
        _, scale = quantize(np.array([[1, bad]], np.float32))
        assert np.isnan(scale).all()

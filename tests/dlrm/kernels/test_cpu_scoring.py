"""Native scoring with each instruction set, in both precisions, against the model in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.cpu import CpuScoring
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision, scoring_precision
from plumbline.dlrm.score.native_scoring import scoring_shape
from tests.dlrm.kernels import ladder_scoring as ladder
from tests.dlrm.kernels.tried_sets import tried_sets

PRECISIONS: tuple[ScoringPrecision, ...] = ("fp32", "bf16")

pytestmark = pytest.mark.skipif(cpu_module() is None, reason="no native module here")


@pytest.fixture(params=ladder.SETS)
def instruction_set(request: pytest.FixtureRequest) -> str:
    return ladder.supported(request.param)


def native(
    model: DLRM, instruction_set: str, precision: ScoringPrecision, threads: int = 1
) -> CpuScoring:
    shape = scoring_shape(model.architecture)
    weights = ladder.arrays(model)
    return CpuScoring(cpu_module(), instruction_set, shape, weights, precision, threads)


def scored(scoring: CpuScoring, rows: ladder.Rows) -> np.ndarray:
    probability_B = scoring.score(rows.ids_BF, rows.dense_BC, rows.bags)
    assert probability_B is not None
    return probability_B


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_equals_the_model(instruction_set, name, precision):
    """In bf16 a sum near the middle of two numbers may round to either, so a few rows differ."""
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    scoring = native(model, instruction_set, precision)
    for count in (0, 1, 2, 7, 333):
        rows = ladder.draw(model.architecture, count, seed=count)
        got, wanted = scored(scoring, rows), ladder.expected(model, rows, precision)
        ladder.assert_equals(got, wanted, count, precision)


@pytest.mark.parametrize("name", ladder.ARCHITECTURES)
def test_bf16_is_near_fp32(instruction_set, name):
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    rows = ladder.draw(model.architecture, 200)
    got = scored(native(model, instruction_set, "bf16"), rows)
    np.testing.assert_allclose(got, ladder.expected(model, rows, "fp32"), rtol=0, atol=0.02)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ladder.FEW)
@given(data=st.data())
def test_a_row_scores_alone_as_among_others(name, precision, data):
    """Equal bits for rows in any order and any batches."""
    model = ladder.model_of(ladder.ARCHITECTURES[name])
    instruction_set = data.draw(st.sampled_from(tried_sets()))
    scoring = native(model, instruction_set, precision)
    rows = ladder.draw(model.architecture, 40, seed=2)
    together = scored(scoring, rows)
    order = np.array(data.draw(st.permutations(range(40))))
    cuts = sorted(data.draw(st.sets(st.integers(1, 39), max_size=5)))
    parts = [scored(scoring, rows.take(part)) for part in np.split(order, cuts)]
    assert np.array_equal(np.concatenate(parts), together[order])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_any_number_of_threads_gives_equal_bits(instruction_set, precision):
    """Enough rows for several blocks per thread."""
    model = ladder.model_of(ladder.ARCHITECTURES["wide"])
    rows = ladder.draw(model.architecture, 2000)
    wanted = scored(native(model, instruction_set, precision), rows)
    for threads in (2, 3, 5):
        got = scored(native(model, instruction_set, precision, threads), rows)
        assert np.array_equal(got, wanted)
    alone = native(model, instruction_set, precision)
    for row in (0, 1, 191, 192, 1999):
        assert scored(alone, rows.take(np.array([row]))) == wanted[row]


def test_calls_at_the_same_time(instruction_set):
    model = ladder.model_of(ladder.ARCHITECTURES["wide"])
    scoring = native(model, instruction_set, "bf16", threads=2)
    batches = [ladder.draw(model.architecture, 400 + seed, seed) for seed in range(8)]
    wanted = [scored(scoring, rows) for rows in batches]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(scored, [scoring] * 16, batches * 2))
    for one, other in zip(got, wanted * 2, strict=True):
        assert np.array_equal(one, other)


def test_any_strides(instruction_set):
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring = native(model, instruction_set, "bf16")
    rows = ladder.draw(model.architecture, 50)
    wanted = scored(scoring, rows)
    turned = ladder.Rows(np.asfortranarray(rows.ids_BF), np.asfortranarray(rows.dense_BC), ())
    backwards = ladder.Rows(rows.ids_BF[::-1], rows.dense_BC[::-1], ())
    read_only = ladder.Rows(rows.ids_BF.copy(), rows.dense_BC.copy(), ())
    read_only.ids_BF.flags.writeable = read_only.dense_BC.flags.writeable = False
    assert np.array_equal(scored(scoring, turned), wanted)
    assert np.array_equal(scored(scoring, backwards), wanted[::-1])
    assert np.array_equal(scored(scoring, read_only), wanted)


@pytest.mark.parametrize("bad", [-1, 2**40, -(2**63), 2**63 - 1])
def test_an_id_without_a_row_is_reported(instruction_set, bad):
    model = ladder.model_of(ladder.ARCHITECTURES["lists too"])
    for threads in (1, 2):
        scoring = native(model, instruction_set, "fp32", threads)
        for row in (0, 149, 299):
            rows = ladder.draw(model.architecture, 300)
            rows.ids_BF[row, 2] = bad
            assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None
        rows = ladder.draw(model.architecture, 300)
        rows.bags[1].values[-1] = bad
        assert scoring.score(rows.ids_BF, rows.dense_BC, rows.bags) is None
        assert scored(scoring, ladder.draw(model.architecture, 300)).shape == (300,)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_values_that_are_not_finite_reach_no_other_row(instruction_set, precision):
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    scoring = native(model, instruction_set, precision)
    rows = ladder.draw(model.architecture, 30)
    wanted = scored(scoring, rows)
    rows.dense_BC[[3, 17], [0, 1]] = np.nan, np.inf
    got = scored(scoring, rows)
    assert np.isnan(got[3])
    others = np.delete(np.arange(30), [3, 17])
    assert np.array_equal(got[others], wanted[others])


def test_layers_that_do_not_fit_together_are_refused(instruction_set):
    model = ladder.model_of(ladder.ARCHITECTURES["usual"])
    other = ladder.model_of(ladder.architecture(6, 0, 3, 16, (40, 24), (70, 30)))
    other.architecture = model.architecture
    other.last = model.last
    with pytest.raises(ValueError, match="a layer wants 33 inputs, got 30"):
        native(other, instruction_set, "fp32")


def test_a_given_precision_is_taken_and_auto_is_exact_without_the_kernels(monkeypatch):
    assert [scoring_precision(precision) for precision in PRECISIONS] == list(PRECISIONS)
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    assert scoring_precision("auto") == "fp32"

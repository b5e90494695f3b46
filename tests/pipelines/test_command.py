import pytest

from features.errors import PlumblineError
from pipelines.command import resolve_engine


@pytest.mark.parametrize(
    ("requested", "device", "scheduler", "engine"),
    [
        ("auto", "cpu", None, "polars"),
        ("auto", "cpu", "local", "nvtabular"),
        ("auto", "cuda", None, "nvtabular"),
        ("polars", "cpu", None, "polars"),
        ("polars", "cuda", None, "polars"),
        ("nvtabular", "cpu", None, "nvtabular"),
        ("nvtabular", "cpu", "tcp://127.0.0.1:8786", "nvtabular"),
    ],
)
def test_the_engine_follows_the_machine(requested, device, scheduler, engine) -> None:
    assert resolve_engine(requested, device, scheduler) == engine


def test_a_scheduler_without_use_is_refused() -> None:
    with pytest.raises(PlumblineError, match="--scheduler local: a Dask cluster is for --engine"):
        resolve_engine("polars", "cpu", "local")

import pytest

from features.native_form import SETTING, native


@pytest.fixture(params=["native", "numpy"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests of both forms of what the native module does."""
    if request.param == "native" and native is None:
        pytest.skip("features._native is not built")
    monkeypatch.setenv(SETTING, "1" if request.param == "native" else "0")
    return request.param

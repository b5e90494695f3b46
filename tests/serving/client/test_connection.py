"""The secret that a server and its clients share, and its sources."""

from pathlib import Path

import pytest

from plumbline.serving.client.connection import SECRET_VARIABLE, read_secret
from plumbline.serving.errors import ServerError

SECRET = "0123456789abcdef"


def test_the_secret_is_read_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    assert read_secret() is None
    monkeypatch.setenv(SECRET_VARIABLE, "")
    assert read_secret() is None
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    assert read_secret() == SECRET
    file = tmp_path / "secret"
    file.write_text("fedcba9876543210\n")
    assert read_secret(file) == "fedcba9876543210"


@pytest.mark.parametrize("secret", ["short", "sixteen letters!", "ünsendable-secret"])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, secret)
    with pytest.raises(ServerError, match=f"{SECRET_VARIABLE}: wanted a secret") as refused:
        read_secret()
    assert secret not in str(refused.value)
    with pytest.raises(ServerError, match="absent: wanted a file with the secret"):
        read_secret(tmp_path / "absent")

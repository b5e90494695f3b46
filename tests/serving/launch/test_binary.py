"""Which server is found, and its command line and environment."""

import sys
from pathlib import Path

import pytest

import plumbline.serving.launch.binary
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.binary import SETTING, ServerBinary, find_server

STUBS = "python_backend_stubs"
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def program(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def wheel(folder: Path, *versions: str) -> Path:
    program(folder / "bin" / "tritonserver")
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        program(folder / "backends" / "python" / name)
    for version in versions:
        program(folder / STUBS / version / "triton_python_backend_stub")
    return folder


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(plumbline.serving.launch.binary, "_wheel", lambda: None)


def test_the_setting_comes_first_then_the_path_then_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_wheel = wheel(tmp_path / "wheel", RUNNING)
    monkeypatch.setattr(plumbline.serving.launch.binary, "_wheel", lambda: in_wheel)
    assert find_server() == ServerBinary(in_wheel / "bin" / "tritonserver", in_wheel)

    on_path = program(tmp_path / "path" / "tritonserver")
    assert find_server() == ServerBinary(on_path)

    named = program(tmp_path / "elsewhere" / "triton")
    monkeypatch.setenv(SETTING, str(named))
    assert find_server() == ServerBinary(named)

    monkeypatch.setenv(SETTING, str(in_wheel / "bin" / "tritonserver"))
    assert find_server().wheel == in_wheel, "the wheel's own program needs the wheel's backend"


def test_without_any_server_the_error_says_what_to_install() -> None:
    with pytest.raises(ServerError, match=r"No Triton server: .*Install nvidia-pytriton"):
        find_server()


def test_a_setting_that_names_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "/nowhere/tritonserver")
    with pytest.raises(ServerError, match=f"{SETTING}=/nowhere/tritonserver: wanted a program"):
        find_server()


def test_the_wheels_backend_folder_has_the_running_pythons_stub(tmp_path: Path) -> None:
    source = wheel(tmp_path / "wheel", "3.8", RUNNING)
    binary = ServerBinary(source / "bin" / "tritonserver", source)
    for _ in range(2):  # a second server may take the same work folder
        executable, option = binary.arguments(tmp_path / "work")
    assert executable == str(binary.executable)
    folder = Path(option.removeprefix("--backend-directory=")) / "python"
    assert (folder / "triton_python_backend_stub").resolve() == (
        source / STUBS / RUNNING / "triton_python_backend_stub"
    )
    assert {file.name for file in folder.iterdir()} == {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    }


def test_a_wheel_without_the_running_pythons_stub_is_refused(tmp_path: Path) -> None:
    source = wheel(tmp_path / "wheel", "3.8", "3.9")
    binary = ServerBinary(source / "bin" / "tritonserver", source)
    with pytest.raises(ServerError, match=f"Python {RUNNING}, but the wheel has .* 3.8, 3.9"):
        binary.arguments(tmp_path / "work")


def test_another_server_keeps_its_own_backends(tmp_path: Path) -> None:
    assert ServerBinary(Path("/opt/tritonserver")).arguments(tmp_path) == ["/opt/tritonserver"]


def test_the_servers_python_finds_the_running_interpreters_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/first")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = ServerBinary(Path("x"), wheel(tmp_path, RUNNING)).environment()
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert environment["LD_LIBRARY_PATH"].endswith(":/first")
    assert str(Path(pytest.__file__).parent.parent) in environment["PYTHONPATH"].split(":")


def test_the_secret_is_not_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "0123456789abcdef")
    assert SECRET_VARIABLE not in ServerBinary(Path("/triton")).environment()


def test_what_a_cloud_sets_is_not_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIP_MODE", "AIP_HTTP_PORT", "AIP_STORAGE_URI", "SAGEMAKER_MULTI_MODEL"):
        monkeypatch.setenv(name, "PREDICTION")
    environment = ServerBinary(Path("/triton")).environment()
    assert not [name for name in environment if name.startswith(("AIP_", "SAGEMAKER_"))]


def test_the_help_says_which_options_a_server_takes(tmp_path: Path) -> None:
    program = tmp_path / "tritonserver"
    program.write_text("#!/bin/sh\necho '  --allow-client-shm <boolean>' >&2\nexit 1\n")
    program.chmod(0o755)
    binary = ServerBinary(program)
    assert binary.takes("--allow-client-shm")
    assert not binary.takes("--allow-client") and not binary.takes("--client-shm")

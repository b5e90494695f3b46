"""Find a Triton server: by name, on the PATH, or in the nvidia-pytriton wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.paths import SOURCES
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.errors import ServerError

SETTING = "PLUMBLINE_TRITONSERVER"
"""Environment variable that names the `tritonserver` to use."""
_CLOUD = ("AIP_", "SAGEMAKER_")
"""Beginnings of the variables of Vertex AI and SageMaker."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A `tritonserver`. If it is nvidia-pytriton's, `wheel` is the server folder in that wheel."""

    executable: Path
    wheel: Path | None = None

    def arguments(self, work: Path) -> list[str]:
        """The beginning of the command line.

        The wheel has its Python backend and stubs in separate folders, so for it a backend folder
        is created in `work`.
        """
        if self.wheel is None:
            return [str(self.executable)]
        return [str(self.executable), f"--backend-directory={_backends(self.wheel, work)}"]

    def takes(self, option: str) -> bool:
        """Whether its `--help` names the option, such as `--allow-client-shm`; releases differ."""
        shown = subprocess.run(
            [str(self.executable), "--help"],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return re.search(rf"(?<!\S){option}(?![-\w])", shown.stdout + shown.stderr) is not None

    def environment(self) -> dict[str, str]:
        """The server's environment, with which its Python processes find this Python's packages.

        The wheel's stub uses the first `python3` on PATH as its home, and loads the first libpython
        of its minor version on LD_LIBRARY_PATH. With another build than the running one, it cannot
        import the standard library's C extensions. It ignores PYTHONPATH, which is for other
        servers.

        By default, idle threads sleep: the models' processes share the cores, and spinning threads
        make a request many times slower. Memory is limited to two arenas, because glibc would
        create many for Triton's threads, and an arena keeps its memory.

        The secret is removed, because the models' processes do not need it; so is what a cloud's
        prediction service sets, with which Triton opens ports of its own and closes the others.
        """
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "2"} | {
            name: value
            for name, value in os.environ.items()
            if name != SECRET_VARIABLE and not name.startswith(_CLOUD)
        }
        packages = [str(SOURCES), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(packages))
        if self.wheel is not None:
            for variable, folder in (
                ("PATH", str(Path(sys.executable).parent)),
                ("LD_LIBRARY_PATH", sysconfig.get_config_var("LIBDIR")),
            ):
                folders = filter(None, (folder, environment.get(variable)))
                environment[variable] = os.pathsep.join(folders)
        return environment


def find_server() -> ServerBinary:
    """The server that the environment variable names, else one on the PATH, else the wheel's.

    A server other than the wheel's has its own Python backend. To load the models, it must be built
    for the running Python's minor version.

    Raises
    ------
    ServerError
        There is none, or the named one does not exist.
    """
    named = os.environ.get(SETTING)
    if named:
        executable = shutil.which(named)
        if executable is None:
            raise ServerError(f"{SETTING}={named}: wanted a program that can be run.")
        return _binary(Path(executable))
    on_path = shutil.which("tritonserver")
    if on_path is not None:
        return _binary(Path(on_path))
    wheel = _wheel()
    if wheel is not None:
        return ServerBinary(wheel / "bin" / "tritonserver", wheel)
    raise ServerError(
        f"No Triton server: wanted {SETTING}, a 'tritonserver' on the PATH, or the package "
        "nvidia-pytriton. Install nvidia-pytriton, or run in NVIDIA's Triton container."
    )


def _binary(executable: Path) -> ServerBinary:
    wheel = _wheel()
    if wheel is not None and executable.resolve() == (wheel / "bin" / "tritonserver").resolve():
        return ServerBinary(executable.resolve(), wheel)
    return ServerBinary(executable)


def _wheel() -> Path | None:
    """The wheel's server folder. The package is not imported, because that takes seconds."""
    spec = importlib.util.find_spec("pytriton")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "tritonserver"
        if (folder / "bin" / "tritonserver").is_file():
            return folder
    return None


def _backends(wheel: Path, work: Path) -> Path:
    """A backend folder of links into the wheel: the Python backend and the running Python's stub.

    Raises ServerError if the wheel has no stub for the running Python.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        known = sorted(folder.name for folder in stub.parent.parent.glob("*"))
        raise ServerError(
            f"{wheel}: wanted a Python backend for Python {version}, but the wheel has those for "
            f"{', '.join(known)}. Use one of these Pythons, or name another Triton in {SETTING}."
        )
    python = wheel / "backends" / "python"
    folder = work.resolve() / "backends"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "python").mkdir(parents=True)
    for file in (stub, python / "libtriton_python.so", python / "triton_python_backend_utils.py"):
        (folder / "python" / file.name).symlink_to(file)
    return folder

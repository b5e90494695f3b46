"""Find a Triton server: a named one, one on the PATH, or the one in the nvidia-pytriton wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.paths import SOURCES
from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.errors import ServerError

SETTING = "PLUMBLINE_TRITONSERVER"
"""Environment variable that names the `tritonserver` to use."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A `tritonserver`, and the wheel's folder where it comes from the nvidia-pytriton wheel."""

    executable: Path
    wheel: Path | None = None

    def arguments(self, work: Path) -> list[str]:
        """The command line's beginning.

        For the wheel, whose Python backend and stubs lie apart, a backend folder is made in `work`.
        """
        if self.wheel is None:
            return [str(self.executable)]
        return [str(self.executable), f"--backend-directory={_backends(self.wheel, work)}"]

    def environment(self) -> dict[str, str]:
        """The server's environment; its Python processes find this interpreter's packages by it.

        The wheel's stub takes the first `python3` on PATH for its home, and loads the first
        libpython of its minor version on LD_LIBRARY_PATH: another build than the running one
        cannot import the standard library's C extensions. PYTHONPATH, which it passes over, is for
        other servers.

        By default, threads that wait for work sleep: the models' processes share the cores, and a
        request takes many times as long where waiting threads spin. Memory comes from two arenas,
        since each of the many that glibc makes for Triton's threads keeps what it once needed.

        The secret is left out: the models' processes have no use for it.
        """
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_ARENA_MAX": "2", **os.environ}
        environment.pop(SECRET_VARIABLE, None)
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

    A server that is not the wheel's brings its own Python backend, which has to be of the running
    Python's minor version to load the models.

    Raises
    ------
    ServerError
        None is found, or the named one is not there.
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
    """The wheel's server folder; the package itself is not imported, which would take seconds."""
    spec = importlib.util.find_spec("pytriton")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "tritonserver"
        if (folder / "bin" / "tritonserver").is_file():
            return folder
    return None


def _backends(wheel: Path, work: Path) -> Path:
    """A backend folder of links into the wheel: the Python backend and the running version's stub.

    Raises ServerError where the wheel has no stub for the running Python.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        known = sorted(folder.name for folder in stub.parent.parent.glob("*"))
        raise ServerError(
            f"{wheel}: wanted a Python backend for Python {version}, but the wheel has those for "
            f"{', '.join(known)}. Use one of these Pythons, or another Triton by {SETTING}."
        )
    python = wheel / "backends" / "python"
    folder = work.resolve() / "backends"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "python").mkdir(parents=True)
    for file in (stub, python / "libtriton_python.so", python / "triton_python_backend_utils.py"):
        (folder / "python" / file.name).symlink_to(file)
    return folder

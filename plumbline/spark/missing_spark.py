"""Whether Spark can be used: pyspark, and a Java that it runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from plumbline.base.device import Missing

JAVA_VERSIONS = (8, 11, 17)
"""Those that Spark 3.5 runs on."""

_INSTALL_JAVA = (
    "Install Java 17, such as the package openjdk-17-jre-headless, or name its folder in JAVA_HOME"
)


def missing_spark() -> Missing | None:
    """None if pyspark is installed, and a Java of `JAVA_VERSIONS` in JAVA_HOME or on the path."""
    if find_spec("pyspark") is None:
        return Missing("pyspark is not installed", "Install it with `make env SPARK=1`")
    java = _java()
    if java is None:
        return Missing("Spark needs Java, and there is no program `java`", _INSTALL_JAVA)
    version = _version_of(java)
    if version not in JAVA_VERSIONS:
        found = f"Java {version}" if version else "no Java that tells its version"
        return Missing(f"Spark 3.5 needs Java 8, 11 or 17, and {java} is {found}", _INSTALL_JAVA)
    return None


def _java() -> str | None:
    """The program that Spark starts."""
    home = os.environ.get("JAVA_HOME")
    if not home:
        return shutil.which("java")
    java = Path(home, "bin", "java")
    return str(java) if os.access(java, os.X_OK) else None


def _version_of(java: str) -> int | None:
    """The number of a Java's release; None if it does not tell one."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(found[1]) if found else None

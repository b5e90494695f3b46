"""What training on several processes needs and does not do, checked before anything starts.

Needs no torch.
"""

from __future__ import annotations

from importlib.util import find_spec

from plumbline.base.errors import ConfigError, PlumblineError
from plumbline.settings import Config

PACKAGES = ("torchrec", "fbgemm_gpu")
INSTALL = "Install them with make env DISTRIBUTED=1, or train in one process."
WIDTH = 4
"""FBGEMM's rows are multiples of this many numbers."""


def missing_packages() -> list[str]:
    return [package for package in PACKAGES if find_spec(package) is None]


def require_packages(count: int) -> None:
    """Raises PlumblineError if a package is missing that `count` processes need."""
    if missing := missing_packages():
        raise PlumblineError(
            f"training on {count} processes: wanted TorchRec and FBGEMM, but "
            f"{' and '.join(missing)} cannot be imported. {INSTALL}"
        )


def check_settings(config: Config, trainer: str) -> None:
    """Raises ConfigError for what only one process can do; it names the setting."""
    model, training = config.model, config.training
    refused = {
        f"--model {trainer}": trainer != "fused",
        f"model.embedding_rows: {model.embedding_rows}": model.embedding_rows != "fp32",
        f"model.bag: {model.bag}": model.bag not in ("mean", "sum"),
        f"training.precision: {training.precision}": training.precision == "fp16",
    }
    for setting, is_refused in refused.items():
        if is_refused:
            raise ConfigError(
                f"{setting}: not done on several processes, whose tables are TorchRec's. "
                "docs/processes.md says what is. Change it, or train in one process."
            )
    if model.embedding_dim % WIDTH:
        raise ConfigError(
            f"model.embedding_dim: on several processes wanted a multiple of {WIDTH}, got "
            f"{model.embedding_dim}. Change it, or train in one process."
        )

"""The card of a trained model, `model.json`. Needs no torch, and does not read the weights.

`model.json` is written last, so a folder that has it is complete. No pickle is involved.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from plumbline.base.files import json_sha256, write_json
from plumbline.base.json_fields import from_json
from plumbline.base.json_text import read_json
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture

FORMAT_VERSION = 3
"""3: all embedding tables are one tensor, `tables.weight`."""
INT8_FORMAT_VERSION = 4
"""4: the weights are int8, see `plumbline.dlrm.score.quantization`."""
CARD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The content of `model.json`."""

    architecture: Architecture
    plan_hash: str
    """Content hash of the feature plan that encoded the rows."""
    weights_sha256: str
    model_hash: str
    """Hash of the other fields, and so of what the model computes."""
    quantized_from: str | None = None
    """`model_hash` of the trained model that was quantized; None for a trained model."""


@dataclass(frozen=True, slots=True)
class _Hashes:
    """What `model.json` has besides its architecture."""

    plan_hash: str
    weights_sha256: str
    quantized_from: str | None = None


def write_model_card(
    folder: Path,
    architecture: Architecture,
    plan_hash: str,
    weights_sha256: str,
    quantized_from: str | None = None,
) -> ModelCard:
    """Write `model.json`, which makes the model complete."""
    content = {
        "format_version": FORMAT_VERSION,
        "architecture": architecture.to_json(),
        "plan_hash": plan_hash,
        "weights_sha256": weights_sha256,
    }
    if quantized_from is not None:
        content |= {"format_version": INT8_FORMAT_VERSION, "quantized_from": quantized_from}
    write_json(folder / CARD_FILE, {**content, "model_hash": json_sha256(content)})
    return read_model_card(folder)


def read_model_card(folder: Path) -> ModelCard:
    """Read `model.json` without the weights.

    Raises
    ------
    ModelError
        The card is missing, changed, or of another format version.
    """
    file = folder / CARD_FILE
    if not file.is_file():
        raise ModelError.missing(str(file))
    try:
        content = read_json(file)
        version, wanted = int(content["format_version"]), str(content.pop("model_hash"))
        if version not in (FORMAT_VERSION, INT8_FORMAT_VERSION):
            supported = f"{FORMAT_VERSION} and {INT8_FORMAT_VERSION}"
            raise ModelError.other_format(str(file), version, supported)
        got = json_sha256(content)
        if got != wanted:
            raise ModelError.damaged(str(file), wanted, got)
        if (version == INT8_FORMAT_VERSION) != ("quantized_from" in content):
            raise ValueError(f"quantized_from is for format version {INT8_FORMAT_VERSION}")
        del content["format_version"]
        architecture = Architecture.from_json(content.pop("architecture"), str(file))
        return ModelCard(architecture, **asdict(from_json(_Hashes, content)), model_hash=wanted)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError.unreadable(str(file), f"{type(error).__name__} {error}") from None

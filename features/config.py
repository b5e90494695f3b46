"""Read a configuration file: YAML at the edge, `Config` inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from features.errors import ConfigError
from features.settings import Config


def load_config(file: Path) -> Config:
    """Read and check a configuration.

    A file may begin with `extends: OTHER.yaml` (beside it): its keys then replace the other's, key
    by key inside mappings.

    Raises
    ------
    ConfigError
        Unreadable file, unknown key (with the nearest known one), or a value of the wrong form.
    """
    try:
        return Config.model_validate(_read(file, ()))
    except ValidationError as error:
        raise ConfigError.invalid(str(file), _lines([dict(e) for e in error.errors()])) from None


def _read(file: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    if file.resolve() in extending:
        raise ConfigError.unreadable(str(file), "it extends itself")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError.unreadable(str(file), "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.unreadable(str(file), f"it cannot be read ({error})") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError.unreadable(str(file), f"it is not valid YAML ({reason})") from None
    if not isinstance(content, dict):
        raise ConfigError.unreadable(str(file), "it holds no mapping of keys to values")
    base = content.pop("extends", None)
    if base is None:
        return content
    return _merged(_read(file.parent / str(base), (*extending, file.resolve())), content)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both_mappings else value
    return merged


def _lines(errors: list[dict[str, Any]]) -> list[str]:
    """A line an error; of a key that takes a number or a word, the number's, with the word."""
    words: dict[tuple[Any, ...], str] = {}
    for error in errors:
        place = error["loc"]
        if place and str(place[-1]).startswith("literal["):
            words[place[:-1]] = str(error["ctx"]["expected"])
    lines = []
    for error in errors:
        place = error["loc"][:-1]
        if place not in words:
            lines.append(_one_line(error))
        elif not str(error["loc"][-1]).startswith("literal["):
            lines.append(f"{_one_line({**error, 'loc': place})} ({words[place]} is allowed too)")
    return lines


def _one_line(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in ("value_error", "missing"):
        return f"{place}: {message}" if place else message
    return f"{place}: {message}, got {error['input']!r}"

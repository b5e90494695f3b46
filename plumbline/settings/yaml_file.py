"""Reading YAML with text keys, no duplicate keys, and the location of every value."""

from __future__ import annotations

import codecs
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from plumbline.base.errors import ConfigError
from plumbline.base.files import read_small
from plumbline.base.printable import one_line

KeyPath = tuple[str | int, ...]

_MOST_VALUES = 100_000
"""A file with more values, its anchors expanded, is refused."""
_TAG = "tag:yaml.org,2002:"
_READ_AS = {
    "bool": "a boolean",
    "null": "null",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Location:
    """The file and line of a value; `text` is the source of a plain scalar, else None."""

    file: Path
    line: int
    text: str | None


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The content of a file, and the location of every value in it."""

    content: dict[str, Any]
    locations: dict[KeyPath, Location]


def read_yaml(file: Path) -> YamlFile:
    """Read a file that holds a mapping.

    Raises
    ------
    ConfigError
        The file cannot be read, is not YAML or not a mapping, or has a key twice or a key that is
        not text.
    """
    text = _text(file)
    try:
        reader = _Reader(file, yaml.SafeLoader(text))
        node = reader.loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError.unreadable(str(file), "it is not a mapping of keys to values")
        return YamlFile(reader.mapping(node, ()), reader.locations)
    except yaml.YAMLError as error:
        raise ConfigError.unreadable(
            _placed(file, error), f"it is not valid YAML ({_why(error)})"
        ) from None
    except RecursionError:
        raise ConfigError.unreadable(str(file), "its values are nested too deeply") from None


def read_as(value: object) -> str | None:
    """The type that YAML reads a word without quotes as; None if it is text."""
    names = {bool: "a boolean", type(None): "null", int: "a number", float: "a number"}
    return names.get(type(value))


def _text(file: Path) -> str:
    try:
        content = read_small(file)
    except FileNotFoundError:
        raise ConfigError.unreadable(str(file), "there is no such file") from None
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
        raise ConfigError.unreadable(str(file), reason) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise ConfigError.unreadable(str(file), "it is damaged UTF-16 text") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start : error.start + 1]
        reason = f"it is not UTF-8 text (found the byte {byte!r}): save it as UTF-8"
        raise ConfigError.unreadable(f"{file}:{line}", reason) from None


def _placed(file: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return str(file) if mark is None else f"{file}:{mark.line + 1}"


def _why(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character {chr(int(error.character))!r} is not allowed"
    problem = str(getattr(error, "problem", None) or error)
    if "'\\t'" in problem:
        return "there is a tab before a key or a value: indent with blanks"
    context = getattr(error, "context", None)
    return one_line(f"{context}, {problem}" if context else problem)


@dataclass(slots=True)
class _Reader:
    """Builds the values of one file's nodes."""

    file: Path
    loader: yaml.SafeLoader
    locations: dict[KeyPath, Location] = field(default_factory=dict)
    inside: list[yaml.Node] = field(default_factory=list)
    values: int = 0

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == f"{_TAG}merge":
                continue
            name = self._name(key, path)
            if name in lines:
                raise ConfigError(
                    f"{self._at(key)}: the key {_dotted((*path, name))!r} is here and in "
                    f"line {lines[name]}: keep one of them."
                )
            lines[name] = key.start_mark.line + 1
        self.loader.flatten_mapping(node)
        values = {}
        for key, value in node.value:
            name = self._name(key, path)
            values[name] = self._value(value, (*path, name), key)
        return values

    def _name(self, key: yaml.Node, path: KeyPath) -> str:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(
                f"{self._at(key)}: {_dotted(path)}: wanted text for a key, found a list or a "
                "mapping."
            )
        if key.tag != f"{_TAG}str":
            written = one_line(key.value, _SHOWN)
            type_ = _READ_AS.get(key.tag.removeprefix(_TAG), f"a {key.tag}")
            raise ConfigError(
                f"{self._at(key)}: {_dotted((*path, written))}: YAML reads {written} as {type_}, "
                f"wanted text for a key: put it in quotes, '{written}'."
            )
        return str(key.value)

    def _value(self, node: yaml.Node, path: KeyPath, key: yaml.Node | None = None) -> Any:
        self.values += 1
        if self.values > _MOST_VALUES:
            reason = f"it has more than {_MOST_VALUES:,} values"
            raise ConfigError.unreadable(str(self.file), reason)
        if any(node is outer for outer in self.inside):
            raise ConfigError.unreadable(self._at(node), "a value contains itself")
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        line = (key or node).start_mark.line + 1
        self.locations[path] = Location(self.file, line, node.value if plain else None)
        if isinstance(node, yaml.ScalarNode):
            return self._single(node, path)
        known = f"{_TAG}map" if isinstance(node, yaml.MappingNode) else f"{_TAG}seq"
        if node.tag != known:
            raise self._unknown_tag(node, path)
        self.inside.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self.inside.pop()

    def _single(self, node: yaml.ScalarNode, path: KeyPath) -> Hashable:
        if node.tag.removeprefix(_TAG) not in (*_READ_AS, "str"):
            raise self._unknown_tag(node, path)
        try:
            value: Hashable = self.loader.construct_object(node)
        except ValueError:
            raise ConfigError(
                f"{self._at(node)}: {_dotted(path)}: YAML cannot read "
                f"{one_line(node.value, _SHOWN)}: put it in quotes."
            ) from None
        return value

    def _unknown_tag(self, node: yaml.Node, path: KeyPath) -> ConfigError:
        tag = node.tag.replace(_TAG, "!!")
        return ConfigError(
            f"{self._at(node)}: {_dotted(path)}: the tag {one_line(tag, _SHOWN)} has no meaning in "
            "a configuration: leave it out, or put the value in quotes."
        )

    def _at(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"


def _dotted(path: KeyPath) -> str:
    return one_line(".".join(map(str, path)), 3 * _SHOWN) or "the file"

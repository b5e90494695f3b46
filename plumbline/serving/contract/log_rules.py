"""The log's rules: the settings that training read its log with.

They are in the configs of the models that take raw columns, for each version. A client reads files
of rows with them.

| config parameter | JSON |
|---|---|
| `log` | the settings of the log, see `plumbline.settings.Log` |
| `tables` | side table to its settings, and the `sha256` of the file that training joined |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from plumbline.base.json_fields import shown
from plumbline.base.json_text import parse_json
from plumbline.serving.contract.interface import LOG, TABLES
from plumbline.serving.contract.versions import Rules
from plumbline.serving.errors import ServerError
from plumbline.settings import Log, SideTable, Table

_SHA256 = "sha256"
_ALWAYS = {"format", "separator", "header", "quote", "encoding"}
_OF_THE_INGEST = {"malformed_limit", "typed_copy"}


@dataclass(frozen=True, slots=True)
class RuledTable:
    """A side table, and the SHA-256 of the file that training joined, or None if it is unknown."""

    settings: SideTable
    sha256: str | None


@dataclass(frozen=True, slots=True)
class LogRules:
    """The settings that the log and its side tables were read with."""

    log: Log
    tables: Mapping[str, RuledTable]

    @classmethod
    def of(
        cls, log: Log, tables: Mapping[str, SideTable], sha256: Mapping[str, str] | None = None
    ) -> LogRules:
        """`sha256` maps a side table's name to the SHA-256 of its file."""
        hashes = sha256 or {}
        return cls(log, {name: RuledTable(t, hashes.get(name)) for name, t in tables.items()})

    @property
    def time_formats(self) -> dict[str, str]:
        """The formats of the side tables' times and of the log's, by column."""
        tables = [table.settings for table in self.tables.values()]
        return {k: v for table in (*tables, self.log) for k, v in table.time_formats.items()}

    def to_json(self) -> Rules:
        """Config parameter to its content."""
        return {
            LOG: _json(self.log),
            TABLES: {
                name: {**_json(table.settings), _SHA256: table.sha256}
                for name, table in self.tables.items()
            },
        }

    @classmethod
    def of_parameters(cls, model: str, parameters: Mapping[str, str]) -> LogRules | None:
        """From the config parameters of a version; None if it was exported without rules.

        Raises
        ------
        ServerError
            This Plumbline cannot read them.
        """
        if LOG not in parameters:
            return None
        try:
            log = Log.model_validate(parse_json(parameters[LOG]))
            tables = parse_json(parameters.get(TABLES, "{}"))
            return cls(log, {name: _table(content) for name, content in tables.items()})
        except (ValidationError, ValueError, TypeError, AttributeError) as error:
            raise ServerError(
                f"Model {model!r}: its config has settings of the log that this "
                f"Plumbline does not know ({_reason(error)}). Upgrade the client."
            ) from None


def _json(table: Table) -> dict[str, Any]:
    """Without defaults, so that a client which does not know a setting can read the others."""
    usual = table.model_dump(mode="json", include=_ALWAYS)
    return usual | table.model_dump(mode="json", exclude=_OF_THE_INGEST, exclude_defaults=True)


def _table(content: Mapping[str, Any]) -> RuledTable:
    settings = {name: value for name, value in content.items() if name != _SHA256}
    sha256 = content.get(_SHA256)
    if not isinstance(sha256, str | None):
        raise ValueError(f"{_SHA256}: wanted text, got {shown(sha256)}")
    return RuledTable(SideTable.model_validate(settings), sha256)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return " ".join(str(error).split())

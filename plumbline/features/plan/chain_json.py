"""Chains and names in plan.json, which anybody may have written: other content is a ValueError."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plumbline.base.json_fields import shown
from plumbline.columns.kinds import check_name
from plumbline.features.steps.chains import Chain, Source
from plumbline.features.steps.step import step_from_json, step_to_json


def chain_to_json(chain: Chain) -> dict[str, Any]:
    return {
        "sources": [s if isinstance(s, str) else chain_to_json(s) for s in chain.sources],
        "steps": [step_to_json(step) for step in chain.fitted],
    }


def chain_from_json(content: dict[str, Any]) -> Chain:
    sources = tuple(_source(source) for source in list_of(content["sources"]))
    return Chain(sources, tuple(step_from_json(step) for step in list_of(content["steps"])))


def _source(content: Any) -> Source:
    if isinstance(content, str):
        return content
    require_keys(content, "sources", "steps")
    return chain_from_json(content)


def require_keys(content: Any, *wanted: str, optional: str | None = None) -> None:
    if not isinstance(content, dict) or content.keys() - {optional} != set(wanted):
        raise ValueError(f"wanted an object of {', '.join(wanted)}, got {shown(content)}")


def require_distinct(what: str, names: Iterable[str]) -> None:
    listed = list(names)
    if len(set(listed)) < len(listed):
        raise ValueError(f"wanted {what} of different names, got one twice")


def list_of(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"wanted a list, got {shown(content)}")
    return content


def name_of(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"wanted a column's name, got {shown(name)}")
    check_name(name)
    return name

"""The options of a graph: keyword arguments of its function, checked against its annotations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from plumbline.base.errors import ConfigError, nearest
from plumbline.base.printable import sentence
from plumbline.settings.problems import problem

TRAINING_ROWS = "training_rows"
"""The name of the parameter that gets the number of training rows."""


def keyword_arguments(
    function: Callable[..., Any], options: Mapping[str, Any], training_rows: int, where: str
) -> dict[str, Any]:
    """The arguments of the function besides the columns.

    Raises
    ------
    ConfigError
        The function takes no columns, or options are unknown, missing, or do not fit the
        parameters' annotations; all problems are named.
    """
    columns, *others = _parameters(function, where)
    parameters = {
        one.name: one
        for one in others
        if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }
    takes_any = any(one.kind is Parameter.VAR_KEYWORD for one in others)
    given = {TRAINING_ROWS: training_rows} if parameters.pop(TRAINING_ROWS, None) else {}
    types = _annotations(function, where)
    wrong = []
    for name, value in options.items():
        if name in parameters and name in types:
            given[name], problems = _checked(types[name], value, name, where)
            wrong += problems
        elif name in parameters or (takes_any and name not in (columns.name, TRAINING_ROWS)):
            given[name] = value
        else:
            taken = "the name of the parameter that takes the columns"
            hint = nearest(name, parameters) if parameters else "the graph takes no options"
            hint = taken if name == columns.name else hint
            wrong.append(f"workflow.options: unknown option {name!r}, {hint}")
    wrong += [
        f"workflow.options.{one.name}: wanted, but it is missing"
        for one in parameters.values()
        if one.default is Parameter.empty and one.name not in options
    ]
    if wrong:
        raise ConfigError(sentence(f"{where}: {'; '.join(wrong)}"))
    return given


def _parameters(function: Callable[..., Any], where: str) -> list[Parameter]:
    """The function's parameters; the first one takes the columns."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    if not parameters or parameters[0].kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD):
        raise ConfigError(f"{where}: wanted a function whose first parameter takes the columns.")
    return parameters


def _annotations(function: Callable[..., Any], where: str) -> dict[str, Any]:
    if not inspect.isroutine(function):
        return {}
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigError(f"{where}: an annotation cannot be evaluated: {error}.") from None


def _checked(annotation: Any, value: Any, name: str, where: str) -> tuple[Any, list[str]]:
    """The value converted to its annotation, and its problems."""
    try:
        return TypeAdapter(annotation).validate_python(value), []
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, ('workflow.options', name, *one['loc'])))}: {problem(dict(one))}"
            for one in error.errors()
        ]
        return None, problems
    except PydanticUserError:
        raise ConfigError(
            f"{where}: the annotation of option {name!r} is a type that YAML values cannot have."
        ) from None

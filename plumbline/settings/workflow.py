"""Settings of the graph and its options."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from plumbline.base.errors import nearest
from plumbline.settings.base import Settings


class WorkflowSettings(Settings):
    """The NVTabular graph that makes the model's features from the columns.

    It is a Python function that a run executes. [graphs.md](graphs.md) describes how to write one,
    and [standard_graph.md](standard_graph.md) has the options of the graph `standard`.
    """

    graph: Annotated[str, Field(min_length=1)]
    """A graph of `workflows/` by its name: `standard`, `criteo`, `movielens`. Or a function of your
    own: `path/to/file.py:function`, the path from the folder of this file, or `module:function`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the function."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                hint = nearest(str(key), cls.model_fields)
                if not hint.startswith("did you mean"):
                    hint = f"options of the graph are keys of options: 'options: {{{key}: …}}'"
                raise ValueError(f"unknown key {key!r}, {hint}")
        return data

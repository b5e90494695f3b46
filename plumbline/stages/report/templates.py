"""Renders the templates of this package; what comes from the data is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from plumbline.stages.report.blocks import Bar, Flagged

FOLDER = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["bar"] = lambda cell: isinstance(cell, Bar)
    made.tests["flagged"] = lambda cell: isinstance(cell, Flagged)
    return made


def rendered(template: str, **values: Any) -> Markup:
    """A template of `templates/` with these values."""
    return Markup(environment().get_template(template).render(**values))


def style() -> Markup:
    """The page's style sheet."""
    return Markup((FOLDER / "style.css").read_text(encoding="utf-8"))

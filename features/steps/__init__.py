"""Primitive steps of a feature plan: small frozen dataclasses with a JSON form and one meaning."""

from features.steps.categorify import Categorify
from features.steps.clip import Clip
from features.steps.fill_missing import FillMissing
from features.steps.log import Log
from features.steps.normalize import Normalize
from features.steps.step import FloatStep, Step, step_from_json, step_to_json

__all__ = [
    "Categorify",
    "Clip",
    "FillMissing",
    "FloatStep",
    "Log",
    "Normalize",
    "Step",
    "step_from_json",
    "step_to_json",
]

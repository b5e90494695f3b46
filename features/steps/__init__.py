"""Primitive steps of a feature plan: small frozen dataclasses with a JSON form and one meaning."""

from features.steps.bucketize import Bucketize
from features.steps.categorify import Categorify
from features.steps.clip import Clip
from features.steps.fill_missing import FillMissing
from features.steps.hashed import HashBucket, HashedCross
from features.steps.interpolate import Interpolate
from features.steps.is_missing import IsMissing
from features.steps.keyed_value import KeyedValue
from features.steps.log import Log
from features.steps.normalize import Normalize
from features.steps.normalize_min_max import NormalizeMinMax
from features.steps.step import IdStep, NumberStep, Step, step_from_json, step_to_json

__all__ = [
    "Bucketize",
    "Categorify",
    "Clip",
    "FillMissing",
    "HashBucket",
    "HashedCross",
    "IdStep",
    "Interpolate",
    "IsMissing",
    "KeyedValue",
    "Log",
    "Normalize",
    "NormalizeMinMax",
    "NumberStep",
    "Step",
    "step_from_json",
    "step_to_json",
]

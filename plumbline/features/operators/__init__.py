"""Primitive steps of a feature plan: small frozen dataclasses with a JSON form and one meaning."""

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hashed import HashBucket, HashedCross
from plumbline.features.operators.interpolate import Interpolate
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.keyed_value import KeyedValue
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.operators.normalize_min_max import NormalizeMinMax
from plumbline.features.operators.step import IdStep, NumberStep, Step, step_from_json, step_to_json

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

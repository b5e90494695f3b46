"""Settings: frozen, typed, checked once where they enter; read from YAML by `features.config`."""

from features.settings.config import Config
from features.settings.data import ClickModel, Label, Log, SideTable, Table
from features.settings.model import Model
from features.settings.serving import Serving
from features.settings.split import FileSplit, GroupSplit, ShareSplit, Split, TimeSplit
from features.settings.training import Training
from features.settings.workflow import CriteoWorkflow, StandardWorkflow

__all__ = [
    "ClickModel",
    "Config",
    "CriteoWorkflow",
    "FileSplit",
    "GroupSplit",
    "Label",
    "Log",
    "Model",
    "Serving",
    "ShareSplit",
    "SideTable",
    "Split",
    "StandardWorkflow",
    "Table",
    "TimeSplit",
    "Training",
]

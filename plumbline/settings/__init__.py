"""Settings: frozen, typed and validated; `settings.configuration` reads them from YAML."""

from plumbline.settings.append import Append
from plumbline.settings.config import Config
from plumbline.settings.data import ClickModel, Label, Log, SideTable, Table
from plumbline.settings.model import Model
from plumbline.settings.serving import Serving
from plumbline.settings.split import FileSplit, GroupSplit, ShareSplit, Split, TimeSplit
from plumbline.settings.training import Training
from plumbline.settings.workflow import WorkflowSettings

__all__ = [
    "Append",
    "ClickModel",
    "Config",
    "FileSplit",
    "GroupSplit",
    "Label",
    "Log",
    "Model",
    "Serving",
    "ShareSplit",
    "SideTable",
    "Split",
    "Table",
    "TimeSplit",
    "Training",
    "WorkflowSettings",
]

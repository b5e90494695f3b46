"""A live repository: its versions, its lock, and the journal for rolling back a publish.

Lock and journal are files in the repository's folder, where Triton ignores files.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.files import write_json, write_text
from plumbline.base.json_fields import from_json
from plumbline.base.json_text import read_json
from plumbline.base.manifest import differences
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.interface import (
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    KINDS,
    MODELS,
    encoded_parameters,
    raw_parameters,
)
from plumbline.serving.contract.versions import (
    CONFIG_FILE,
    INTEGRITY_FILE,
    VERSIONS,
    Version,
    newest,
    versions_from_json,
)
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.configs import parameters_in, read_config, write_config
from plumbline.serving.repository.release import partial_name

LOCK_FILE = ".publish.lock"
JOURNAL_FILE = ".publish.json"
FORMAT_VERSION = 2


@dataclass(frozen=True, slots=True)
class LiveRepository:
    """A repository as its configs describe it. Folders of other versions are leftovers."""

    folder: Path
    parameters: Mapping[str, Mapping[str, str]]
    """Model name to the parameters of its config."""
    versions: Mapping[str, Mapping[str, Version]]
    """Model name, then version number."""
    max_batch_size: int
    """The largest number of rows in a request for scores."""

    @classmethod
    def read(cls, folder: Path) -> LiveRepository:
        """Raises RepositoryError if one of the four models has no config from Plumbline."""
        configs = {model: read_config(folder / model / CONFIG_FILE) for model in MODELS}
        parameters = {model: parameters_in(config) for model, config in configs.items()}
        versions = {
            model: versions_from_json(model, own.get(VERSIONS, ""))
            for model, own in parameters.items()
        }
        return cls(folder, parameters, versions, int(configs[ENSEMBLE_MODEL].max_batch_size))

    @property
    def current(self) -> str:
        """The version that answers requests without a version."""
        return newest(self.versions[ENSEMBLE_MODEL])

    def check_interface(self, plan: Plan) -> None:
        """Require the tensors of the served version; clients and the ensemble depend on them.

        Raises
        ------
        RepositoryError
            The plan has other raw columns, or other tensors between the models. The message lists
            the differences.
        """
        wanted = _of_tensors({**raw_parameters(plan), **encoded_parameters(plan)})
        changes = differences(_of_tensors(self.parameters[FEATURES_MODEL]), wanted)
        if changes:
            raise RepositoryError(
                f"{self.folder}: the new plan's tensors differ from the served ones "
                f"({'; '.join(changes)}). Export it into a repository of its own."
            )

    def sweep(self) -> None:
        """Remove the version folders that no config lists."""
        for model, versions in self.versions.items():
            for entry in (self.folder / model).iterdir():
                if entry.is_dir() and entry.name.isdecimal() and entry.name not in versions:
                    shutil.rmtree(entry)


def _of_tensors(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a config that describe tensors."""
    suffixes = ("_columns", "_null", "_elements")
    return {k: value for k, value in parameters.items() if k == KINDS or k.endswith(suffixes)}


@contextmanager
def publish_lock(folder: Path) -> Iterator[None]:
    """Lock a repository for changes. The lock ends with the process at the latest.

    Raises
    ------
    RepositoryError
        There is no repository, or another process holds the lock.
    """
    if not folder.is_dir():
        raise RepositoryError(f"{folder}: wanted a model repository, there is no folder.")
    with (folder / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RepositoryError(
                f"{folder}: another publish is running. Wait until it ends, then publish again."
            ) from None
        yield


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the file of a journal has; see `Journal`."""

    number: str
    configs: Mapping[str, str]
    integrity: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The state of a repository before the publish of version `number`."""

    folder: Path
    number: str
    configs: Mapping[str, str]
    """Model name to the text of its config."""
    integrity: str
    """The text of `integrity.json`."""

    @classmethod
    def begin(cls, folder: Path, number: str) -> Journal:
        """Write the journal. This must precede every other change."""
        configs = {m: (folder / m / CONFIG_FILE).read_text(encoding="utf-8") for m in MODELS}
        if not (folder / INTEGRITY_FILE).is_file():
            raise RepositoryError.missing(str(folder / INTEGRITY_FILE))
        journal = cls(
            folder, number, configs, (folder / INTEGRITY_FILE).read_text(encoding="utf-8")
        )
        write_json(
            folder / JOURNAL_FILE,
            {
                "format_version": FORMAT_VERSION,
                "number": number,
                "configs": configs,
                "integrity": journal.integrity,
            },
        )
        return journal

    @classmethod
    def read(cls, folder: Path) -> Journal | None:
        """The journal of a publish that was killed, or None.

        Raises
        ------
        RepositoryError
            The file was not written by `begin`.
        """
        file = folder / JOURNAL_FILE
        if not file.is_file():
            return None
        try:
            content = read_json(file)
            if content.pop("format_version") != FORMAT_VERSION:
                raise ValueError("it is of another format version")
            kept = from_json(_Kept, content)
            if not kept.number.isdecimal() or kept.configs.keys() != set(MODELS):
                raise ValueError("its version or its configs are of another repository")
            return cls(folder, kept.number, kept.configs, kept.integrity)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wanted = "the journal of a publish"
            raise RepositoryError.wrong_content(str(file), wanted, str(error)) from None

    def has_changed(self, model: str) -> bool:
        """Whether the model's config has changed since `begin`."""
        config = self.folder / model / CONFIG_FILE
        return not config.is_file() or config.read_text(encoding="utf-8") != self.configs[model]

    def restore_config(self, model: str) -> None:
        """Restore a config if it has changed, because Triton loads a rewritten config again."""
        if self.has_changed(model):
            write_config(self.folder, model, self.configs[model])

    def restore_files(self) -> None:
        """Restore `integrity.json`, and remove the new version's folders."""
        write_text(self.folder / INTEGRITY_FILE, self.integrity)
        for model in MODELS:
            for name in (self.number, partial_name(self.number)):
                shutil.rmtree(self.folder / model / name, ignore_errors=True)

    def close(self) -> None:
        (self.folder / JOURNAL_FILE).unlink()

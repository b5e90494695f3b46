"""Publish a release into a live repository: as its next version, or not at all.

The steps are loaded first, each beside the version that serves, and the ensemble last: it names the
versions of its steps, so no answer mixes two (docs/decisions/0015-renewal.md).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.serving.client.model_control import ModelControl
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    MODELS,
    PRECISION,
)
from plumbline.serving.contract.live_repository import LiveRepository
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.publish.journal import Journal, publishing
from plumbline.serving.publish.live_check import check_version
from plumbline.serving.repository.export import write_config, write_repository
from plumbline.serving.repository.integrity import vouch_for_configs
from plumbline.serving.repository.model_configs import model_configs
from plumbline.serving.repository.release import Release, partial_name, write_version
from plumbline.settings import Serving

Report = Callable[[str], None]
"""Takes a line that says how far it is."""

LOAD_ORDER = (FEATURES_MODEL, DLRM_MODEL, FUSED_MODEL, ENSEMBLE_MODEL)


@dataclass(frozen=True, slots=True)
class Published:
    """The version that a repository serves now."""

    number: str
    is_new: bool
    """False where the release was there already, and nothing was done."""


def publish(
    release: Release,
    folder: Path,
    settings: Serving,
    control: ModelControl | None,
    report: Report,
) -> Published:
    """Add a release to the live repository in `folder`, beside the version that is served.

    Where nothing is there, and no server, the repository is begun with the release. With `control`,
    the running server loads it model by model, and each one's check rows go through the server;
    without it, the next start of a server picks it up. Whatever fails, the repository and the
    server go back to what they were. Versions before the current one are removed.

    Raises
    ------
    RepositoryError
        It failed, and why; another publish is going on; or the release does not fit the repository.
    ServerError
        The server cannot be reached, serves another repository, or its model control is closed:
        nothing was changed.
    """
    if control is None and not folder.exists():
        report(f"{folder}: begun with this plan and model")
        write_repository(release, folder, settings)
        vouch_for_configs(folder)
        return Published(LiveRepository.read(folder).current, is_new=True)
    with publishing(folder):
        _undo_cut_off(folder, control, report)
        live = LiveRepository.read(folder)
        _sweep(live)
        if _is_current(release, live):
            return Published(live.current, is_new=False)
        _check_fits(release, live, settings)
        if control is not None:
            _check_serves(control, live)
        number = str(int(live.current) + 1)
        report(f"version {number} beside version {live.current} in {folder}")
        journal = Journal.begin(live, number)
        try:
            _write(release, live, number, settings, control, report)
        except BaseException as error:
            report(f"failed: back to version {live.current}")
            problems = _roll_back(journal, control)
            if problems or isinstance(error, PlumblineError):
                raise RepositoryError(
                    f"{folder}: version {number} was not published, back to version "
                    f"{live.current}. {error}{''.join(f' {problem}' for problem in problems)}"
                ) from error
            raise
        journal.end()
        _sweep(LiveRepository.read(folder))
        return Published(number, is_new=True)


def undo_cut_off(folder: Path, report: Report) -> None:
    """Bring the files of a repository that is not served now back from a publish that was killed.

    Raises RepositoryError where another publish is going on.
    """
    if Journal.read(folder) is not None:
        with publishing(folder):
            _undo_cut_off(folder, None, report)


def _undo_cut_off(folder: Path, control: ModelControl | None, report: Report) -> None:
    journal = Journal.read(folder)
    if journal is None:
        return
    report(f"version {journal.number} was left half published: undone")
    problems = _roll_back(journal, control)
    if problems:
        raise RepositoryError(f"{folder}: {' '.join(problems)}")


def _is_current(release: Release, live: LiveRepository) -> bool:
    version = live.versions[FUSED_MODEL][live.current]
    precision = live.parameters[FUSED_MODEL].get(PRECISION)
    served = (version.plan_hash, version.model_hash, precision, version.rules)
    return served == (
        release.plan.content_hash,
        release.card.model_hash,
        release.precision,
        release.rules,
    )


def _check_fits(release: Release, live: LiveRepository, settings: Serving) -> None:
    live.check_interface(release.plan)
    if settings.max_batch_size < live.max_batch_size:
        raise RepositoryError(
            f"{live.folder}: clients may send {live.max_batch_size} rows a request, but the new "
            f"version is to take {settings.max_batch_size}. "
            f"Set serving.max_batch_size to {live.max_batch_size} or more."
        )


def _check_serves(control: ModelControl, live: LiveRepository) -> None:
    ready = control.ready_versions(ENSEMBLE_MODEL)
    if live.current not in ready:
        raise ServerError(
            f"The server has {_listed(ready)} of {ENSEMBLE_MODEL!r} loaded, but {live.folder} has "
            f"version {live.current}. Give the address of the server of this repository, or start "
            "it again."
        )


def _write(
    release: Release,
    live: LiveRepository,
    number: str,
    settings: Serving,
    control: ModelControl | None,
    report: Report,
) -> None:
    written = write_version(release, live.folder, number)
    _to_disk(live.folder, number)
    versions = {
        model: {live.current: live.versions[model][live.current], number: written[model]}
        for model in MODELS
    }
    # One config is for all versions of a model: an older ensemble would run the newer steps.
    versions[ENSEMBLE_MODEL] = {number: written[ENSEMBLE_MODEL]}
    configs = model_configs(
        release.plan, settings, versions, current=number, precision=release.precision
    )
    for model in LOAD_ORDER:
        write_config(live.folder, model, configs[model])
        if control is not None:
            _load(control, model, number)
            check_version(control, live.folder, model, number, release.precision, settings)
            report(f"{model}: loaded and checked")
    vouch_for_configs(live.folder)


def _to_disk(folder: Path, number: str) -> None:
    """Before a config lists the version, so that a power cut leaves no config without its files."""
    for model in MODELS:
        version = folder / model / number
        for entry in (folder / model, version, *version.rglob("*")):
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _load(control: ModelControl, model: str, number: str) -> None:
    control.load(model)
    ready = control.ready_versions(model)
    if number not in ready:
        raise ServerError(
            f"Model {model!r}: wanted version {number}, but the server has {_listed(ready)} loaded."
        )


def _listed(versions: set[str]) -> str:
    return f"version {', '.join(sorted(versions, key=int))}" if versions else "no version"


def _roll_back(journal: Journal, control: ModelControl | None) -> list[str]:
    """Bring files and server back to what they were, the ensemble before its steps.

    The server looks at the steps' configs too when it loads the ensemble. So where the ensemble has
    not gone on to the new version yet, they are restored before: the server would try once more to
    load what has just failed, which Triton 2.51 may die of under load.

    Returns
    -------
    What the server did not take. The journal stays then, so that the next publish begins with this.
    """
    problems = []
    if not journal.has_changed(ENSEMBLE_MODEL):
        for model in MODELS:
            journal.restore_config(model)
    for model in reversed(LOAD_ORDER):
        journal.restore_config(model)
        if control is not None:
            try:
                control.load(model)
            except ServerError as error:
                problems.append(f"{model!r} could not be loaded as before: {error}")
    journal.restore_vouching()
    for model in MODELS:
        for name in (journal.number, partial_name(journal.number)):
            shutil.rmtree(journal.folder / model / name, ignore_errors=True)
    if not problems:
        journal.end()
    return problems


def _sweep(live: LiveRepository) -> None:
    """Remove the version folders that no config lists."""
    for model, versions in live.versions.items():
        for entry in (live.folder / model).iterdir():
            if entry.is_dir() and entry.name.isdecimal() and entry.name not in versions:
                shutil.rmtree(entry)

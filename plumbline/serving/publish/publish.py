"""Publish a release as the next version of a live repository, or roll everything back.

The models are loaded one by one beside the served version, the ensemble last. It names the versions
of its models, so no answer mixes two (docs/decisions/0015-publish.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    MODELS,
    PRECISION,
)
from plumbline.serving.contract.versions import write_integrity
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.publish.live_repository import Journal, LiveRepository, publish_lock
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.repository.configs import model_configs, write_config
from plumbline.serving.repository.export import FIRST_VERSION, write_repository
from plumbline.serving.repository.release import Release, flush_version, write_version
from plumbline.settings import Serving

Report = Callable[[str], None]
"""Shows a line of progress."""

LOAD_ORDER = (FEATURES_MODEL, DLRM_MODEL, FUSED_MODEL, ENSEMBLE_MODEL)


@dataclass(frozen=True, slots=True)
class Published:
    """The version that a repository now serves."""

    number: str
    is_new: bool
    """False if the repository served the release already; nothing was done."""


def publish(
    release: Release,
    folder: Path,
    settings: Serving,
    server: LiveServer | None,
    report: Report,
) -> Published:
    """Add a release to the live repository in `folder`, beside the served version.

    With `server`, the running server loads the release model by model, and each model's check rows
    are sent through it. Without, the next start of a server loads it. If anything fails, the
    repository and the server are rolled back. Versions before the current one are removed. If there
    is neither a folder nor a server, the repository is written with the release as version 1.

    Raises
    ------
    RepositoryError
        The publish failed, another one is running, or the release does not fit the repository.
    ServerError
        The server cannot be reached, serves another repository, or does not allow model control.
        Nothing was changed.
    """
    if server is None and not folder.exists():
        report(f"{folder}: created with this plan and model")
        write_repository(release, folder, settings)
        return Published(FIRST_VERSION, is_new=True)
    with publish_lock(folder):
        _roll_back_interrupted(folder, server, report)
        live = LiveRepository.read(folder)
        live.sweep()
        if _is_current(release, live):
            return Published(live.current, is_new=False)
        _check_fits(release, live, settings)
        if server is not None:
            _check_serves(server, live)
        number = str(int(live.current) + 1)
        report(f"version {number} beside version {live.current} in {folder}")
        journal = Journal.begin(folder, number)
        try:
            _add_version(release, live, number, settings, server, report)
        except BaseException as error:
            report(f"failed: back to version {live.current}")
            problems = _roll_back(journal, server)
            if problems or isinstance(error, PlumblineError):
                raise RepositoryError(
                    f"{folder}: version {number} was not published, back to version "
                    f"{live.current}. {error}{''.join(f' {problem}' for problem in problems)}"
                ) from error
            raise
        journal.close()
        LiveRepository.read(folder).sweep()
        return Published(number, is_new=True)


def roll_back_interrupted(folder: Path, report: Report) -> None:
    """Roll back a publish that was killed, in a repository that no server has loaded.

    Raises RepositoryError if another publish is running.
    """
    if Journal.read(folder) is not None:
        with publish_lock(folder):
            _roll_back_interrupted(folder, None, report)


def _roll_back_interrupted(folder: Path, server: LiveServer | None, report: Report) -> None:
    journal = Journal.read(folder)
    if journal is None:
        return
    report(f"the publish of version {journal.number} was interrupted: rolled back")
    problems = _roll_back(journal, server)
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
            f"{live.folder}: clients may send {live.max_batch_size} rows in a request, but the new "
            f"version would accept {settings.max_batch_size}. "
            f"Set serving.max_batch_size to {live.max_batch_size} or more."
        )


def _check_serves(server: LiveServer, live: LiveRepository) -> None:
    ready = server.ready_versions(ENSEMBLE_MODEL)
    if live.current not in ready:
        raise ServerError(
            f"The server has {_listed(ready)} of {ENSEMBLE_MODEL!r} loaded, but {live.folder} has "
            f"version {live.current}. Give the address of the server of this repository, or start "
            "it again."
        )


def _add_version(
    release: Release,
    live: LiveRepository,
    number: str,
    settings: Serving,
    server: LiveServer | None,
    report: Report,
) -> None:
    """Write the version's files, then model by model its config, and let the server load it."""
    written = write_version(release, live.folder, number)
    flush_version(live.folder, number)
    versions = {
        model: {live.current: live.versions[model][live.current], number: written[model]}
        for model in MODELS
    }
    # All versions of a model share one config: an older ensemble would run the newer models.
    versions[ENSEMBLE_MODEL] = {number: written[ENSEMBLE_MODEL]}
    configs = model_configs(
        release.plan, settings, versions, current=number, precision=release.precision
    )
    for model in LOAD_ORDER:
        write_config(live.folder, model, configs[model])
        if server is not None:
            _load(server, model, number)
            server.check_version(
                live.folder, model, number, release.precision, settings.max_batch_size
            )
            report(f"{model}: loaded and checked")
    write_integrity(live.folder, versions)


def _load(server: LiveServer, model: str, number: str) -> None:
    server.load(model)
    ready = server.ready_versions(model)
    if number not in ready:
        raise ServerError(
            f"Model {model!r}: wanted version {number}, but the server has {_listed(ready)} loaded."
        )


def _listed(versions: set[str]) -> str:
    return f"version {', '.join(sorted(versions, key=int))}" if versions else "no version"


def _roll_back(journal: Journal, server: LiveServer | None) -> list[str]:
    """Restore the files and the server's models, the ensemble before its models.

    When Triton loads the ensemble, it also reads the configs of its models. If the ensemble still
    runs the old version, all configs are restored first: otherwise the server would load the failed
    version again, and Triton 2.51 may crash of that under load.

    Returns
    -------
    The server's errors. If there are any, the journal stays, and the next publish begins by rolling
    back.
    """
    problems = []
    if not journal.has_changed(ENSEMBLE_MODEL):
        for model in MODELS:
            journal.restore_config(model)
    for model in reversed(LOAD_ORDER):
        journal.restore_config(model)
        if server is not None:
            try:
                server.load(model)
            except ServerError as error:
                problems.append(f"Model {model!r} could not be restored: {error}")
    journal.restore_files()
    if not problems:
        journal.close()
    return problems

"""The feature plan of the version that is served now, opened when the page first asks for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.columns.wire import Tensors
from plumbline.features.drift.reference import (
    REFERENCE_FILE,
    DriftReferenceError,
    Reference,
    read_reference,
)
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.client.core import ServedModel
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import FEATURES_MODEL, FUSED_MODEL
from plumbline.serving.contract.versions import PLAN_FOLDER
from plumbline.serving.errors import RepositoryError
from plumbline.serving.gateway.page.offered import Offered


@dataclass(frozen=True, slots=True)
class ServedPlan:
    """A served version, its plan, and what its export says of raw values."""

    served: ServedModel
    plan: Plan
    executor: OnlineExecutor
    offered: Offered
    check_rows: Tensors
    """The raw rows that the export was checked with."""
    reference: Reference | None
    """None for a version without a reference of drift."""

    @classmethod
    def open(cls, repository: Path, served: ServedModel) -> ServedPlan:
        """Open the plan of a version; its files are checked against their hashes.

        Raises
        ------
        RepositoryError
            A file is missing, damaged or was changed, or the plan is not the one that the server
            names.
        """
        with_plan = FUSED_MODEL if served.name == FUSED_MODEL else FEATURES_MODEL
        folder = repository / with_plan / served.version
        try:
            plan = read_plan(folder / PLAN_FOLDER)
            if plan.content_hash != served.plan_hash:
                raise PlanError.damaged(str(plan.folder), served.plan_hash, plan.content_hash)
            executor = OnlineExecutor(plan)
            offered = Offered(plan, served)
            file = folder / REFERENCE_FILE
            reference = read_reference(file, plan) if file.is_file() else None
        except (PlanError, DriftReferenceError) as error:  # of ours, not of the rows
            raise RepositoryError(str(error)) from None
        check_rows = CheckRows.read(folder / CHECK_FILE).inputs
        return cls(served, plan, executor, offered, check_rows, reference)

    def points(self) -> dict[str, list[Any]]:
        """Column of numbers or times to values of it, in order: see `Offered.points`."""
        edges = {} if self.reference is None else self.reference.edges
        return self.offered.points(self.check_rows, edges)


class ServedPlans:
    """Opens the plan of each version once, in a thread of its own, and keeps the newest."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._thread = ThreadPoolExecutor(1, "page-plan")
        self._version = ""
        self._opening: asyncio.Future[ServedPlan] | None = None

    async def of(self, served: ServedModel) -> ServedPlan:
        """The plan of a version; a caller that gives up leaves the opening to the next one.

        Raises
        ------
        RepositoryError
            As `ServedPlan.open`; the next call tries again.
        """
        if self._opening is None or self._version != served.version:
            loop = asyncio.get_running_loop()
            opening = loop.run_in_executor(self._thread, ServedPlan.open, self._repository, served)
            opening.add_done_callback(self._forget_failure)
            self._opening, self._version = opening, served.version
        return await asyncio.shield(self._opening)

    def _forget_failure(self, opened: asyncio.Future[ServedPlan]) -> None:
        has_failed = opened.cancelled() or opened.exception() is not None
        if has_failed and self._opening is opened:
            self._opening = None

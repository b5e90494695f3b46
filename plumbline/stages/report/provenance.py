"""Where the run came from: settings, seed, hashes, versions, date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.stages.report.blocks import Section, Table


def provenance(report: Mapping[str, Any]) -> Section:
    hashes = {"plan": report["etl"]["plan_hash"]}
    hashes |= {f"stage {name}": stage["hash"] for name, stage in report["stages"].items()}
    return Section(
        "settings",
        "Settings and versions",
        texts=[f"Seed {report['settings']['seed']}. Written {report['written']}."],
        tables=[
            _pairs("Settings", "Key", "Value", report["settings"]),
            _pairs("Hashes of what was made", "What", "SHA-256", hashes),
            _pairs("Versions", "Package", "Version", report["versions"]),
        ],
    )


def _pairs(caption: str, one: str, other: str, values: Mapping[str, str]) -> Table:
    rows = [[key, value] for key, value in values.items()]
    return Table(caption, [one, other], rows, 2, is_folded=True)

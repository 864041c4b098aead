"""What was measured, as a table for people and a file for comparison.

In: figures with units and aims. Out: text and JSON. Pure but for `write`. Must not know how anything was measured.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value; `aim` is None where none was set, `at_least` says on which side of it is good."""

    group: str
    name: str
    value: float
    unit: str
    aim: float | None = None
    at_least: bool = True

    @property
    def reached(self) -> bool | None:
        """Whether the aim was reached; None without one."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile: a value that was measured, never one between two."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Figures by group, one a line."""
    lines: list[str] = []
    for i, figure in enumerate(figures):
        if i == 0 or figures[i - 1].group != figure.group:
            lines += ["", figure.group] if lines else [figure.group]
        lines.append(f"  {figure.name:<44}{_number(figure.value):>12} {figure.unit:<12}{_verdict(figure)}".rstrip())
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _verdict(figure: Figure) -> str:
    if figure.aim is None:
        return ""
    sign = "≥" if figure.at_least else "≤"
    return f"aim {sign} {figure.aim:g}: {'reached' if figure.reached else 'MISSED'}"


def write(figures: Sequence[Figure], folder: Path, now: datetime) -> Path:
    """A JSON file named by its time, with the machine it was measured on."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "measured_at": now.isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "python": platform.python_version(),
            "load_before": os.getloadavg()[2],
        },
        "figures": [{**asdict(figure), "reached": figure.reached} for figure in figures],
    }
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target

"""docs/operating.md names every process with its port and command, every engine and every metric."""

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from local.engines import ENGINES
from local.ports import DEFAULT_PORT_BASE, port_of
from local.processes import PROCESSES
from runtime import telemetry

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
PROCESS_ROW = re.compile(r"^\| `([\w-]+)` \| (\d+) \| `python (.*?)` \|", re.MULTILINE)
ENGINE_ROW = re.compile(r"^\| [\w ]+ \| (\d+) \|$", re.MULTILINE)
METRIC_ROW = re.compile(r"^\| `(palimpsest_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", re.MULTILINE)
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def _metric_rows() -> set[tuple[str, str, str, str]]:
    rows = set()
    for metric in vars(telemetry).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            rows.add((name, KINDS[type(metric)], labels, family.documentation))
    return rows


def test_every_process_has_its_port_and_command() -> None:
    expected = {
        (name, str(port_of(name, DEFAULT_PORT_BASE)), " ".join(process.arguments))
        for name, process in PROCESSES.items()
    }
    assert set(PROCESS_ROW.findall(PAGE)) == expected


def test_every_engine_has_its_port() -> None:
    assert ENGINE_ROW.findall(PAGE) == [
        str(port_of(name, DEFAULT_PORT_BASE)) for name in sorted(ENGINES, key=lambda n: port_of(n, DEFAULT_PORT_BASE))
    ]


def test_every_metric_is_named_with_its_labels_and_meaning() -> None:
    assert set(METRIC_ROW.findall(PAGE)) == _metric_rows(), "\n".join(
        f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in sorted(_metric_rows())
    )


@pytest.mark.parametrize("name", re.findall(r"(?<!header )`(palimpsest_\w+)`", PAGE))
def test_no_metric_is_named_that_is_not_there(name: str) -> None:
    assert name in {row[0] for row in _metric_rows()}

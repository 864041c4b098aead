"""The alert rules: Prometheus' own tool runs their tests, and every metric they name is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest

from local.layout import CHECKOUT
from runtime import telemetry

ALERTS = CHECKOUT / "deploy" / "alerts"
RULES = yaml.safe_load((ALERTS / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in RULES]
PAGE = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
FAULT_ROW = re.compile(r"^\| ([^|`]+) \| ([^|]*`\w+`[^|]*) \| ([^|]*`\w+`[^|]*) \|$", re.MULTILINE)
DOWNLOAD_TIMEOUT_S = 120
# Prometheus gives it to every target by itself.
BUILT_IN = {"up"}


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tool, from Debian's package where it is not installed; nothing is installed by it."""
    if installed := shutil.which("promtool"):
        return installed
    kept = CHECKOUT / ".palimpsest" / "tools" / "promtool"
    if not kept.exists():
        _fetch(tmp_path_factory.mktemp("prometheus"), kept)
    return str(kept)


def _fetch(folder: Path, kept: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("promtool is not installed, and there is no apt-get to fetch Debian's package prometheus with")
    for words in (["apt-get", "download", "prometheus"], ["apt-get", "update"], ["apt-get", "download", "prometheus"]):
        if not list(folder.glob("*.deb")):
            subprocess.run(words, cwd=folder, check=False, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S)
    if not (packages := list(folder.glob("*.deb"))):
        pytest.skip("promtool is not installed, and apt-get could not fetch Debian's package prometheus")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True, timeout=DOWNLOAD_TIMEOUT_S)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / "usr" / "bin" / "promtool", kept)


def _exported() -> set[str]:
    """Names of all metrics as `/metrics` gives them; a metric without values has its head there too."""
    assert telemetry.NAMESPACE == "palimpsest"
    return set(re.findall(r"^# TYPE (\w+) ", generate_latest(REGISTRY).decode(), re.MULTILINE))


def test_the_rules_pass_their_own_tests(promtool: str) -> None:
    words = [promtool, "test", "rules", str(ALERTS / "rules.test.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DOWNLOAD_TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_wrong_fails_its_test(promtool: str, tmp_path: Path) -> None:
    for name in ("rules.yml", "rules.test.yml"):
        shutil.copy(ALERTS / name, tmp_path / name)
    rules = tmp_path / "rules.yml"
    rules.write_text(rules.read_text().replace("palimpsest_outbox_depth > 0", "palimpsest_outbox_depth > 9"))
    words = [promtool, "test", "rules", str(tmp_path / "rules.test.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DOWNLOAD_TIMEOUT_S)
    assert done.returncode != 0 and "OutboxWaits" in done.stderr


def test_every_rule_is_tested_loud_and_silent() -> None:
    tests = yaml.safe_load((ALERTS / "rules.test.yml").read_text(encoding="utf-8"))["tests"]
    expected = [(test["name"], bool(rule["exp_alerts"])) for test in tests for rule in test["alert_rule_test"]]
    for name in NAMES:
        assert (name, True) in expected and (name, False) in expected
    healthy = tests[-1]["alert_rule_test"]
    assert {rule["alertname"] for rule in healthy} == set(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_metric_of_a_rule_is_exported(rule: dict[str, str]) -> None:
    named = set(re.findall(r"\b(?:palimpsest_\w+|process_\w+|up)\b", rule["expr"]))
    assert named and named <= _exported() | BUILT_IN


def test_every_fault_is_shown_by_metrics_and_alerts_that_exist() -> None:
    rows = FAULT_ROW.findall(PAGE)
    assert len(rows) >= 10
    for fault, metrics, alerts in rows:
        assert set(re.findall(r"`(\w+)`", metrics)) <= _exported() | BUILT_IN, fault
        assert set(re.findall(r"`(\w+)`", alerts)) <= set(NAMES), fault
    assert {name for _, _, alerts in rows for name in re.findall(r"`(\w+)`", alerts)} == set(NAMES)

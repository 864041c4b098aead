"""docker-compose.yml against the tables of the local stack: the same engines, processes and settings names."""

import os
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import parser
from local.artifacts import WANTED
from local.engines import ENGINES, postgres
from local.engines.kafka import CONFIGURATION
from local.engines.program import Secrets, Site
from local.layout import Layout
from local.processes import PROCESSES, process_settings
from local.settings import stack_settings

ROOT = Path(__file__).parents[2]
# Only what behaves; sizes are the small machine's.
BEHAVIOUR = (
    "auto.create.topics.enable",
    "group.min.session.timeout.ms",
    "group.initial.rebalance.delay.ms",
    "log.cleaner.backoff.ms",
    "offsets.topic.replication.factor",
    "process.roles",
)
# Without these the database's logs hold what people said, the one for people and the one for crashes.
FORGETTING = ("log_error_verbosity", "log_min_error_statement", "wal_recycle")
# Stands in for the command line: `schemas register` ends with the next of the given statuses.
_ANSWERS_IN_TURN = """#!/bin/sh
[ "$1" = schemas ] || exit 0
status=$(head -n 1 answers); sed -i 1d answers; exit "$status"
"""
# Where things are, and what somebody must choose: equal names, other values.
PLACES = (
    "KAFKA_BOOTSTRAP",
    "REGISTRY_URL",
    "POSTGRES_DSN",
    "OPENSEARCH_URL",
    "S3_ENDPOINT",
    "S3_SECRET_KEY",
    "SECRET_KEY",
    "API_HOST",
    "API_PORT",
    "HEALTH_HOST",
    "HEALTH_PORT",
    "MODEL_DIR",
    "TEMP_DIR",
    "WATCHED_DIRS",
)


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    found: Mapping[str, Any] = document["services"]
    return found


def _local_settings(name: str, home: Path) -> dict[str, str]:
    secrets = Secrets(postgres_password="p", s3_secret_key="s", secret_key="k")
    site = Site(layout=Layout(home=home), port_base=17400, secrets=secrets)
    return process_settings(PROCESSES[name], site, stack_settings(site, {}, {}))


def test_the_same_engines_and_processes(services: Mapping[str, Any]) -> None:
    assert set(services) == {*ENGINES, *PROCESSES, "setup"}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_the_same_command(services: Mapping[str, Any], name: str) -> None:
    assert services[name]["command"] == ["python", *PROCESSES[name].arguments]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_the_same_settings(services: Mapping[str, Any], name: str, tmp_path: Path) -> None:
    local = _local_settings(name, tmp_path)
    compose = services[name]["environment"]
    assert set(compose) == set(local)
    places = {f"PALIMPSEST_{place}" for place in PLACES}
    assert {k: _default(v) for k, v in compose.items() if k not in places} == {
        k: v for k, v in local.items() if k not in places
    }


def _default(value: str) -> str:
    """`${NAME:-default}` as compose reads it in an empty environment."""
    return value.partition(":-")[2].removesuffix("}") if value.startswith("${") else value


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_waits_for_the_set_up_and_says_how_it_is(services: Mapping[str, Any], name: str) -> None:
    service = services[name]
    assert service["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    assert PROCESSES[name].ready_path in service["healthcheck"]["test"][-1]
    assert int(service["stop_grace_period"].removesuffix("s")) >= PROCESSES[name].stop_wait_s


@pytest.mark.parametrize("setting", BEHAVIOUR)
def test_the_broker_behaves_the_same(services: Mapping[str, Any], setting: str) -> None:
    lines = [line for line in CONFIGURATION.splitlines() if line and not line.startswith("#")]
    local = dict(line.split("=", 1) for line in lines)
    assert services["kafka"]["environment"]["KAFKA_" + setting.upper().replace(".", "_")] == local[setting]


@pytest.mark.parametrize("setting", FORGETTING)
def test_the_database_keeps_as_little(services: Mapping[str, Any], setting: str) -> None:
    (local,) = (line for line in postgres.SETTINGS if line.startswith(f"{setting}="))
    assert local in services["postgres"]["command"]


def test_engines_have_the_versions_of_the_lock(services: Mapping[str, Any]) -> None:
    for name in ("kafka", "registry"):
        version = services[name]["image"].partition(":")[2]
        assert any(f":{version}" in coordinate for coordinate in WANTED[name]), name
    # The runner's own version has one part more than the engine's.
    version = services["opensearch"]["image"].partition(":")[2]
    assert any(f":{version}." in coordinate for coordinate in WANTED["opensearch"])


def test_every_image_is_pinned_and_the_speech_processes_have_their_own(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        assert ":" in service["image"] and not service["image"].endswith(":latest"), name
        assert (service.get("build", {}).get("target") == "speech") == name.startswith("speech-")


def test_the_bucket_that_processes_use_is_made(services: Mapping[str, Any]) -> None:
    bucket = services["api"]["environment"]["PALIMPSEST_S3_BUCKET"]
    assert f"mkdir -p /data/{bucket}" in services["s3"]["entrypoint"][-1]


def test_only_the_api_is_published_and_only_to_this_machine(services: Mapping[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(published) == ["api"]
    assert all(port.startswith("127.0.0.1:") for port in published["api"])


def test_the_set_up_is_made_of_our_commands(services: Mapping[str, Any]) -> None:
    commands = re.findall(r"palimpsest ([a-z ]+)", services["setup"]["command"][-1])
    assert commands == ["topics apply", "schemas register", "schema apply"]
    for command in commands:
        parser().parse_args(command.split())


def test_the_images_hold_every_package_of_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(packages)


def test_the_example_names_every_secret_that_must_be_set() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    named = re.findall(r"^(\w+)=$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    assert set(named) == needed


@pytest.mark.parametrize(("answers", "status"), [((3, 0), 0), ((1,), 1)])
def test_setup_waits_for_the_registry_and_for_nothing_else(
    services: Mapping[str, Any], tmp_path: Path, answers: Sequence[int], status: int
) -> None:
    (tmp_path / "answers").write_text("".join(f"{each}\n" for each in answers))
    program = tmp_path / "palimpsest"
    program.write_text(_ANSWERS_IN_TURN)
    program.chmod(0o755)
    command = [word.replace("$$", "$") for word in services["setup"]["command"]]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(command, env=environment, cwd=tmp_path, check=False).returncode == status
    assert (tmp_path / "answers").read_text() == ""

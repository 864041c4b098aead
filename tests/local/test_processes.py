"""The table of our processes is complete and says nothing that does not exist."""

from pathlib import Path

from local.engines import ENGINES
from local.engines.program import Secrets, Site
from local.layout import Layout
from local.processes import PROCESSES, STOP_ORDER, process_program, process_settings
from local.provision import STEPS
from local.settings import stack_settings
from runtime.settings import Settings

SECRETS = Secrets(postgres_password="p", s3_secret_key="s", secret_key="k")


def _site(home: Path) -> Site:
    return Site(layout=Layout(home=home), port_base=17400, secrets=SECRETS)


def test_every_process_is_stopped_once_and_api_first() -> None:
    stopped = [name for tier in STOP_ORDER for name in tier]
    assert sorted(stopped) == sorted(PROCESSES)
    assert stopped[0] == "api"


def test_needs_name_engines_and_steps() -> None:
    known = {*ENGINES, *(step.name for step in STEPS)}
    assert {need for process in PROCESSES.values() for need in process.needs} <= known
    assert {need for step in STEPS for need in step.needs} <= known


def test_the_settings_are_whole(tmp_path: Path) -> None:
    site = _site(tmp_path)
    for process in PROCESSES.values():
        settings = Settings.read(process_settings(process, site, stack_settings(site, {}, {})))
        assert settings.instance_id == process.name


def test_health_ports_come_from_the_table(tmp_path: Path) -> None:
    site = _site(tmp_path)
    shared = stack_settings(site, {}, {})
    ports = [process_settings(row, site, shared).get("PALIMPSEST_HEALTH_PORT") for row in PROCESSES.values()]
    assert ports == [None if name == "api" else str(site.port(name)) for name in PROCESSES]


def test_whoever_starts_the_stack_chooses_engines_but_not_addresses(tmp_path: Path) -> None:
    chosen = {"PALIMPSEST_ASR_ENGINE": "stub", "PALIMPSEST_KAFKA_BOOTSTRAP": "elsewhere:9092"}
    settings = stack_settings(_site(tmp_path), chosen, {})
    assert settings["PALIMPSEST_ASR_ENGINE"] == "stub"
    assert settings["PALIMPSEST_KAFKA_BOOTSTRAP"] == "127.0.0.1:17410"


def test_overrides_win(tmp_path: Path) -> None:
    settings = stack_settings(_site(tmp_path), {}, {"PALIMPSEST_TOPIC_PREFIX": "t1."})
    assert settings["PALIMPSEST_TOPIC_PREFIX"] == "t1."


def test_both_chunkers_read_their_own_topic(tmp_path: Path) -> None:
    site = _site(tmp_path)
    rows = [process_program(PROCESSES[name], site, {}) for name in ("chunker", "chunker-long")]
    assert [row.environment["PALIMPSEST_UPLOAD_TOPIC"] for row in rows] == ["uploads", "uploads.long"]

"""The stack of a chaos run: engines and processes under their supervisor in a home of its own, twins, small disks.

In: a home and a port base. Out: a running stack, addresses for clients and checker, hands for the nemesis.
What restarts a killed process is what restarts it in production: the supervisor.
"""

import json
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from api.accounts.keys import create_key
from bench.small_disks import Disk, mounted
from local import supervisor
from local.engines import ENGINES
from local.engines.program import Program
from local.errors import LocalError, NotRunning
from local.processes import PROCESSES, probe_process, process_program
from local.readiness import PROBE_ERRORS
from local.settings import STUB_ENGINES
from local.stack import PASSABLE, Stack
from runtime.errors import Unavailable
from tests.chaos.plan import DISKS, TENANTS, TWINNED

SETTINGS = {
    **STUB_ENGINES,
    # A chunk that hangs is given up soon, and longer recordings take the other lane.
    "PALIMPSEST_BATCH_TIMEOUT_S": "5",
    "PALIMPSEST_INTERACTIVE_AUDIO_S": "100",
    "PALIMPSEST_NUDGE_PERIOD_S": "20",
}
# Nothing is compacted while the run lasts, so that the checker sees every record that was ever written.
EVERYTHING_STAYS = {"min.compaction.lag.ms": "86400000", "max.compaction.lag.ms": "172800000", "segment.ms": "86400000"}
DISK_MB = {"s3": 2_000, "temporary": 300}
ADMIN_TIMEOUT_S = 60.0
STARTS = 3
TWIN = "-twin"


def engine_addresses(shared: Mapping[str, str]) -> dict[str, object]:
    """The engines' part of what the checker is told."""
    return {
        "kafka": shared["PALIMPSEST_KAFKA_BOOTSTRAP"],
        "prefix": shared["PALIMPSEST_TOPIC_PREFIX"],
        "registry": shared["PALIMPSEST_REGISTRY_URL"],
        "postgres": shared["PALIMPSEST_POSTGRES_DSN"],
        "opensearch": shared["PALIMPSEST_OPENSEARCH_URL"],
        "index_prefix": shared["PALIMPSEST_INDEX_PREFIX"],
        "s3": shared["PALIMPSEST_S3_ENDPOINT"],
        "bucket": shared["PALIMPSEST_S3_BUCKET"],
        "access_key": shared["PALIMPSEST_S3_ACCESS_KEY"],
        "secret_key": shared["PALIMPSEST_S3_SECRET_KEY"],
    }


class World(Stack):
    """The stack, with a second member of each consumer group that starts only when it is called."""

    def __init__(self, home: Path, port_base: int, overrides: Mapping[str, str] | None = None) -> None:
        super().__init__(home, port_base, {**SETTINGS, **(overrides or {})})
        self.disks: dict[str, Disk] = {}
        self.keys: dict[str, str] = {}

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"http://{self.site.address('api')}"

    def begin(self) -> None:
        """Everything up, disks and topics as a run wants them, a key for each tenant."""
        self._mount_disks()
        self._start_patiently()
        shared = self.shared_settings()
        resource = ConfigResource(ResourceType.TOPIC, "transcripts")
        for name, value in EVERYTHING_STAYS.items():
            resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
        admin = AdminClient({"bootstrap.servers": shared["PALIMPSEST_KAFKA_BOOTSTRAP"]})
        admin.incremental_alter_configs([resource])[resource].result(ADMIN_TIMEOUT_S)
        self.keys = {tenant: create_key(shared["PALIMPSEST_POSTGRES_DSN"], tenant, "chaos") for tenant in TENANTS}

    def end(self, logs: Path) -> None:
        """Everything down, logs kept, the home gone."""
        with suppress(NotRunning):
            supervisor.stop_programs(self.layout, [name + TWIN for name in TWINNED])
        self.stop()
        if self.layout.logs.exists():
            shutil.copytree(self.layout.logs, logs, dirs_exist_ok=True)
        for disk in self.disks.values():
            disk.unmount()
        shutil.rmtree(self.layout.home, ignore_errors=True)

    def addresses(self) -> dict[str, object]:
        """What the checker is told of the world: where things are, and nothing of how they work."""
        engines = engine_addresses(self.shared_settings())
        return {**engines, "logs": str(self.layout.logs), "api": self.api_url, "keys": self.keys}

    def secrets(self) -> list[str]:
        """What may stand in no log."""
        secrets = self.site.secrets
        return [*self.keys.values(), secrets.postgres_password, secrets.s3_secret_key, secrets.secret_key]

    def pid(self, name: str) -> int:
        """The process of a program, 0 where it has none just now."""
        return supervisor.state_of(self.layout, name).pid

    def signal(self, name: str, sign: signal.Signals, *, family: bool) -> bool:
        """Sends a signal to a program, or to its whole group; False where it does not run."""
        pid = self.pid(name)
        if pid == 0:
            return False
        with suppress(ProcessLookupError):
            # The supervisor makes each program the leader of a group.
            os.killpg(pid, sign) if family else os.kill(pid, sign)
        return True

    def is_ready(self, name: str) -> bool:
        """Whether an engine or process answers."""
        try:
            if name in ENGINES:
                ENGINES[name].probe(self.site)
            else:
                probe_process(PROCESSES[name], self.site)
        except PROBE_ERRORS:
            return False
        return True

    def revive(self, name: str) -> bool:
        """Starts a program that the supervisor has given up; whether that was needed."""
        if supervisor.state_of(self.layout, name).state not in ("FATAL", "EXITED", "STOPPED"):
            return False
        supervisor.start_program(self.layout, name)
        return True

    def write_addresses(self, folder: Path) -> None:
        """Leaves what the checker needs in the run's folder."""
        (folder / "world.json").write_text(json.dumps({**self.addresses(), "canaries": self.secrets()}))
        (folder / "world.json").chmod(0o600)

    def _programs(self) -> list[Program]:
        site, shared = self.site, self.shared_settings()
        return super()._programs() + [_twin(process_program(PROCESSES[name], site, shared)) for name in TWINNED]

    def _start_patiently(self) -> None:
        """On a machine that many share an engine may answer too late for the first try."""
        for tries_left in reversed(range(STARTS)):
            try:
                self.start()
                return
            except (Unavailable, LocalError):
                if not tries_left:
                    raise

    def _mount_disks(self) -> None:
        folders = {"s3": self.layout.data / "s3", "temporary": self.layout.temporary}
        for name in DISKS:
            self.disks[name] = mounted(name, folders[name], DISK_MB[name])
        for parent in (self.layout.home, self.layout.data):
            parent.chmod(PASSABLE)


def _twin(program: Program) -> Program:
    own = {"PALIMPSEST_INSTANCE_ID": program.name + TWIN, "PALIMPSEST_HEALTH_PORT": "0"}
    return replace(program, name=program.name + TWIN, environment={**program.environment, **own})

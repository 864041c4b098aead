"""Apache Kafka as one KRaft node: broker and controller in one process.

In: a site. Out: its configuration file, command and readiness probe. Must not know our topics.
"""

from __future__ import annotations

import subprocess

from confluent_kafka.admin import AdminClient

from local.artifacts import ensure_engine
from local.engines.java import java_command
from local.engines.program import Engine, Program, Site, data_folder
from local.errors import NotReady
from local.ports import LOOPBACK, is_listening

HEAP_MB = 512
PROBE_TIMEOUT_S = 2.0

CONFIGURATION = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={data}
# Topics are made from the one table in code, never by a client's typing error.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
# A killed worker's partitions move after six seconds, and a group of one does not wait for a second member.
group.min.session.timeout.ms=6000
group.initial.rebalance.delay.ms=0
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=2000
# Erasure is seen through within seconds, so that it can be watched.
log.cleaner.backoff.ms=1000
log.retention.check.interval.ms=10000
log.initial.task.delay.ms=1000
log.retention.hours=168
# Small: the defaults reserve 128 MB for the cleaner and 10 MB of address space for each index.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.io.buffer.size=262144
log.index.size.max.bytes=1048576
log.segment.bytes=134217728
num.network.threads=2
num.io.threads=4
background.threads=2
"""

LOGGING = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1} %m%n
"""


def prepare(site: Site) -> None:
    """Write the configuration and give a new data folder its cluster id."""
    ensure_engine("kafka", site.layout.engines / "kafka")
    folder = data_folder(site, "kafka")
    configuration = CONFIGURATION.format(
        host=LOOPBACK, port=site.port("kafka"), controller_port=site.port("kafka-controller"), data=folder / "log"
    )
    (folder / "server.properties").write_text(configuration)
    (folder / "log4j2.properties").write_text(LOGGING)
    if not (folder / "log" / "meta.properties").exists():
        cluster_id = _storage_tool(site, "random-uuid").split()[-1]
        _storage_tool(site, "format", "--standalone", "-t", cluster_id, "-c", str(folder / "server.properties"))


def _java_options(site: Site) -> list[str]:
    folder = data_folder(site, "kafka")
    jars = site.layout.engines / "kafka" / "*"
    return [f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}", "-cp", str(jars)]


def _storage_tool(site: Site, *arguments: str) -> str:
    command = java_command(256, _java_options(site), ["kafka.tools.StorageTool", *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotReady(f"kafka: its storage could not be made ready.\n{done.stdout}{done.stderr}")
    return done.stdout


def program(site: Site) -> Program:
    configuration = data_folder(site, "kafka") / "server.properties"
    return Program(
        name="kafka",
        command=java_command(HEAP_MB, _java_options(site), ["kafka.Kafka", str(configuration)]),
        stop_wait_s=30,
        # On a full disk it ends after a few seconds of work for a whole core, again and again.
        start_s=10,
    )


def probe(site: Site) -> None:
    """Ask for the cluster's metadata; the port alone is open long before the broker can serve."""
    if not is_listening(site.port("kafka")):
        raise ConnectionError("nothing listens yet")
    silent: dict[str, str | int | float | bool] = {"bootstrap.servers": site.address("kafka"), "log_level": 0}
    metadata = AdminClient(silent).list_topics(timeout=PROBE_TIMEOUT_S)
    if not metadata.brokers:
        raise ConnectionError("no broker is registered yet")


KAFKA = Engine(name="kafka", ports=("kafka", "kafka-controller"), prepare=prepare, program=program, probe=probe)

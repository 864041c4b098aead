"""Apicurio Registry, the Avro schema registry, with its Confluent-compatible API; schemas in a file database.

In: a site. Out: its command and readiness probe. Must not know our schemas.
"""

from __future__ import annotations

from local import plain_http
from local.artifacts import ensure_engine
from local.engines.java import java_command
from local.engines.program import Engine, Program, Site, data_folder
from local.ports import LOOPBACK

HEAP_MB = 256
API_PATH = "/apis/ccompat/v7"


def prepare(site: Site) -> None:
    ensure_engine("registry", site.layout.engines / "registry")


def program(site: Site) -> Program:
    database = data_folder(site, "registry") / "registry"
    options = [
        # A file database keeps schema ids over restarts: records in Kafka name them.
        f"-Dapicurio.datasource.url=jdbc:h2:file:{database}",
        f"-Dquarkus.http.host={LOOPBACK}",
        f"-Dquarkus.http.port={site.port('registry')}",
        f"-Dquarkus.management.host={LOOPBACK}",
        f"-Dquarkus.management.port={site.port('registry-management')}",
        "-Dquarkus.log.level=WARN",
        "-Dapicurio.log.level=WARN",
    ]
    application = site.layout.engines / "registry" / "unpacked" / "quarkus-run.jar"
    return Program(name="registry", command=java_command(HEAP_MB, options, ["-jar", str(application)]))


def probe(site: Site) -> None:
    """List the subjects, which reads the database."""
    plain_http.get(site.address("registry"), f"{API_PATH}/subjects")


REGISTRY = Engine(
    name="registry", ports=("registry", "registry-management"), prepare=prepare, program=program, probe=probe
)

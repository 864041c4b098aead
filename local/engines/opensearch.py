"""OpenSearch as one node, started by the runner artifact that brings its modules.

In: a site. Out: its configuration, command and readiness probe. Must not know our indexes.
"""

from __future__ import annotations

import json
from pathlib import Path

from local import plain_http
from local.artifacts import ensure_engine
from local.engines.java import java_command
from local.engines.program import Engine, Program, Site, data_folder
from local.ports import LOOPBACK

HEAP_MB = 512

# The runner reads no configuration file of ours; it is given these.
SETTINGS = {
    # A laptop with a full disk still searches; without this every index turns read-only at 95 %.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    # A node that could not write leads nothing until it looks again, by default a minute later.
    "monitor.fs.health.refresh_interval": "5s",
    # A typing error in an index name is an error, not a new index.
    "action.auto_create_index": "false",
}

START_SCRIPT = Path(__file__).with_name("opensearch_start.js")


def prepare(site: Site) -> None:
    ensure_engine("opensearch", site.layout.engines / "opensearch")


def program(site: Site) -> Program:
    folder = data_folder(site, "opensearch")
    options = [
        # The bundled runtime has no locale data of its own; ICU's service provider stands in.
        "-Djava.locale.providers=CLDR,SPI",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        str(site.layout.engines / "opensearch" / "*"),
    ]
    arguments = ["org.mozilla.javascript.tools.shell.Main", "-opt", "-1", str(START_SCRIPT), str(folder)]
    arguments += [LOOPBACK, str(site.port("opensearch")), str(site.port("opensearch-transport"))]
    arguments += [f"{name}={value}" for name, value in SETTINGS.items()]
    return Program(name="opensearch", command=java_command(HEAP_MB, options, arguments), stop_wait_s=30)


def probe(site: Site) -> None:
    """Ask for the cluster's health; it is usable when every primary shard is."""
    health = json.loads(plain_http.get(site.address("opensearch"), "/_cluster/health"))
    if health["status"] == "red":
        raise ConnectionError("the cluster is red")


OPENSEARCH = Engine(
    name="opensearch",
    ports=("opensearch", "opensearch-transport"),
    prepare=prepare,
    program=program,
    probe=probe,
)

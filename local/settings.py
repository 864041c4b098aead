"""The settings that the local stack gives to our processes.

In: a site, the environment of whoever starts the stack, and overrides. Out: PALIMPSEST_ settings by name.
Must not know what a process does with them; runtime/settings.py reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from local.engines import ENGINES, postgres, registry, s3
from local.engines.program import Site
from local.ports import LOOPBACK

LOCAL_PARTITIONS = 4
DATABASE = "palimpsest"
BUCKET = "palimpsest"

# What whoever starts the stack may choose; addresses are not among them, they follow from the port table.
CHOICES = MappingProxyType(
    {
        "PALIMPSEST_PARTITIONS": str(LOCAL_PARTITIONS),
        "PALIMPSEST_ASR_ENGINE": "whisperx",
        "PALIMPSEST_DIARIZATION_ENGINE": "pyannote",
        "PALIMPSEST_MODEL": "bundled",
        "PALIMPSEST_DEVICE": "cpu",
        "PALIMPSEST_LOG_LEVEL": "info",
    }
)
# Speech engines that need no model and say the same at once: for everything that is not about speech.
STUB_ENGINES = MappingProxyType({"PALIMPSEST_ASR_ENGINE": "stub", "PALIMPSEST_DIARIZATION_ENGINE": "stub"})


def stack_settings(site: Site, environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """The settings that all processes share. Overrides win over everything."""
    chosen = {name: environment.get(name, default) for name, default in CHOICES.items()}
    return {**chosen, **_addresses(site), **overrides}


def _addresses(site: Site) -> dict[str, str]:
    return {
        "PALIMPSEST_KAFKA_BOOTSTRAP": site.address("kafka"),
        "PALIMPSEST_TOPIC_PREFIX": "",
        "PALIMPSEST_REPLICATION": "1",
        "PALIMPSEST_REGISTRY_URL": f"http://{site.address('registry')}{registry.API_PATH}",
        "PALIMPSEST_POSTGRES_DSN": postgres.dsn(site, DATABASE),
        "PALIMPSEST_OPENSEARCH_URL": f"http://{site.address('opensearch')}",
        "PALIMPSEST_INDEX_PREFIX": "",
        "PALIMPSEST_S3_ENDPOINT": f"http://{site.address('s3')}",
        "PALIMPSEST_S3_BUCKET": BUCKET,
        "PALIMPSEST_S3_ACCESS_KEY": s3.ACCESS_KEY,
        "PALIMPSEST_S3_SECRET_KEY": site.secrets.s3_secret_key,
        "PALIMPSEST_S3_REGION": s3.REGION,
        "PALIMPSEST_SECRET_KEY": site.secrets.secret_key,
        "PALIMPSEST_API_HOST": LOOPBACK,
        "PALIMPSEST_API_PORT": str(site.port("api")),
        "PALIMPSEST_MODEL_DIR": str(site.layout.models),
        "PALIMPSEST_TEMP_DIR": str(site.layout.temporary),
        # Each by its own name: any of them may lie on a disk of its own.
        "PALIMPSEST_WATCHED_DIRS": ":".join(str(site.layout.data / name) for name in ENGINES),
        # Erased text leaves the disk within minutes, so that it can be watched.
        "PALIMPSEST_NUDGE_PERIOD_S": "30",
        "PALIMPSEST_REWRITE_PERIOD_S": "600",
    }

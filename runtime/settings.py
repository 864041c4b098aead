"""Settings: one frozen record per outside system, read once from a mapping.

In: a mapping of strings, usually the environment. Out: typed settings, or SettingsError with one sentence.
Knows no outside system. Every setting is named in `docs/settings.md`, which a test compares with this file.
A setting `PALIMPSEST_X` may be given as `PALIMPSEST_X_FILE`, a file that holds the value: so secrets stay out of the
environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import Misconfigured

PREFIX = "PALIMPSEST_"
_ORDER = re.compile(r"[\w-]+:[\w.]+:(before|after|failed):[1-9]\d*")


class SettingsError(Misconfigured, ValueError):
    """A setting is missing or makes no sense; the message names it."""


class Source:
    """Reads settings by name, without prefix, and remembers nothing."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """The setting, or the default; raises SettingsError when there is neither."""
        full = PREFIX + name
        if full in self._values:
            return self._values[full]
        if path := self._values.get(full + "_FILE"):
            return Path(path).read_text(encoding="utf-8").strip()
        if default is None:
            raise SettingsError(f"{full} is not set")
        return default

    def number(self, name: str, default: int, *, minimum: int = 0) -> int:
        """A whole number of at least `minimum`."""
        text = self.text(name, str(default))
        if not text.lstrip("-").isdigit() or int(text) < minimum:
            raise SettingsError(f"{PREFIX}{name} must be a whole number of at least {minimum}, not {text!r}")
        return int(text)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`."""
        text = self.text(name, default)
        if text not in allowed:
            raise SettingsError(f"{PREFIX}{name} must be one of {', '.join(allowed)}, not {text!r}")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """Broker, and the topics' prefix and shape."""

    bootstrap: str
    topic_prefix: str
    partitions: int
    replication: int

    def topic(self, name: str) -> str:
        """Full name of a topic."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """Consumer group of a process."""
        return self.topic_prefix + name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStore:
    """S3 endpoint, bucket and credentials."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearch:
    """Search engine and the prefix of our index names."""

    url: str
    index_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Which engines and models a speech worker runs, and where."""

    asr_engine: str
    diarization_engine: str
    model: str
    model_dir: str
    align_model_dir: str
    device: str
    compute_type: str
    batch_size: int
    threads: int
    max_tries: int
    batch_timeout_s: int
    batch_floor_s: int
    model_idle_s: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one upload may cost."""

    max_upload_bytes: int
    temp_quota_bytes: int
    max_audio_s: int
    interactive_audio_s: int
    tenant_interactive_minutes: int
    retry_days: int
    stalled_after_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """A testing aid: where a process finds orders to crash, and those it starts with. No folder, no faults."""

    folder: Path | None
    given: tuple[str, ...]

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Faults":
        """From `values`; raises SettingsError. For processes that need no other setting."""
        source = Source(values)
        folder = source.text("FAULT_DIR", "")
        given = tuple(order for order in source.text("FAULT", "").split(",") if order)
        for order in given:
            if not _ORDER.fullmatch(order):
                raise SettingsError(f"{PREFIX}FAULT must be process:effect:before|after|failed:number, not {order!r}")
        if given and not folder:
            raise SettingsError(f"{PREFIX}FAULT needs {PREFIX}FAULT_DIR, which remembers what was carried out")
        return cls(folder=Path(folder) if folder else None, given=given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """How `effects` sees an erasure through, and what it tidies up."""

    nudge_period_s: int
    settle_s: int
    rewrite_period_s: int
    orphan_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process of ours is told."""

    kafka: Kafka
    registry_url: str
    postgres_dsn: str
    opensearch: OpenSearch
    objects: ObjectStore
    speech: Speech
    limits: Limits
    upload_topic: str
    instance_id: str
    secret_key: str
    forgetting: Forgetting
    api_host: str
    api_port: int
    health_host: str
    health_port: int
    log_level: str
    temp_dir: Path
    watched_dirs: tuple[Path, ...]
    faults: Faults

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Settings":
        """Settings from `values`; raises SettingsError."""
        source = Source(values)
        return cls(
            kafka=_kafka(source),
            registry_url=source.text("REGISTRY_URL"),
            postgres_dsn=source.text("POSTGRES_DSN"),
            opensearch=OpenSearch(
                url=source.text("OPENSEARCH_URL"),
                index_prefix=source.text("INDEX_PREFIX", ""),
            ),
            objects=_objects(source),
            speech=_speech(source),
            limits=_limits(source),
            upload_topic=source.choice("UPLOAD_TOPIC", "uploads", ("uploads", "uploads.long")),
            instance_id=source.text("INSTANCE_ID", ""),
            secret_key=source.text("SECRET_KEY", ""),
            forgetting=_forgetting(source),
            api_host=source.text("API_HOST", "127.0.0.1"),
            api_port=source.number("API_PORT", 8000),
            health_host=source.text("HEALTH_HOST", "127.0.0.1"),
            health_port=source.number("HEALTH_PORT", 0),
            log_level=source.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
            temp_dir=Path(source.text("TEMP_DIR", "/tmp")),
            watched_dirs=tuple(Path(text) for text in source.text("WATCHED_DIRS", "").split(":") if text),
            faults=Faults.read(values),
        )


def _kafka(source: Source) -> Kafka:
    prefix = source.text("TOPIC_PREFIX", "")
    if prefix and not prefix.endswith("."):
        raise SettingsError(f"{PREFIX}TOPIC_PREFIX must be empty or end in a dot, not {prefix!r}")
    return Kafka(
        bootstrap=source.text("KAFKA_BOOTSTRAP"),
        topic_prefix=prefix,
        partitions=source.number("PARTITIONS", 24, minimum=1),
        replication=source.number("REPLICATION", 3, minimum=1),
    )


def _objects(source: Source) -> ObjectStore:
    return ObjectStore(
        endpoint=source.text("S3_ENDPOINT"),
        bucket=source.text("S3_BUCKET", "palimpsest"),
        access_key=source.text("S3_ACCESS_KEY"),
        secret_key=source.text("S3_SECRET_KEY"),
        region=source.text("S3_REGION", "us-east-1"),
    )


def _forgetting(source: Source) -> Forgetting:
    return Forgetting(
        nudge_period_s=source.number("NUDGE_PERIOD_S", 3_600, minimum=1),
        settle_s=source.number("SETTLE_S", 3_600, minimum=1),
        rewrite_period_s=source.number("REWRITE_PERIOD_S", 86_400, minimum=1),
        orphan_hours=source.number("ORPHAN_HOURS", 24),
    )


def _speech(source: Source) -> Speech:
    return Speech(
        asr_engine=source.text("ASR_ENGINE", "whisperx"),
        diarization_engine=source.text("DIARIZATION_ENGINE", "pyannote"),
        model=source.text("MODEL", "bundled"),
        model_dir=source.text("MODEL_DIR", ""),
        align_model_dir=source.text("ALIGN_MODEL_DIR", ""),
        device=source.choice("DEVICE", "cpu", ("cpu", "cuda")),
        compute_type=source.text("COMPUTE_TYPE", "default"),
        batch_size=source.number("BATCH_SIZE", 8, minimum=1),
        threads=source.number("THREADS", 0),
        max_tries=source.number("CHUNK_TRIES", 3, minimum=1),
        batch_timeout_s=source.number("BATCH_TIMEOUT_S", 600, minimum=1),
        batch_floor_s=source.number("BATCH_FLOOR_S", 3, minimum=1),
        model_idle_s=source.number("MODEL_IDLE_S", -1, minimum=-1),
    )


def _limits(source: Source) -> Limits:
    max_upload_bytes = source.number("MAX_UPLOAD_BYTES", 2_000_000_000, minimum=1)
    # An upload that is larger would wait for ever.
    temp_quota_bytes = source.number("TEMP_QUOTA_BYTES", 20_000_000_000, minimum=max_upload_bytes)
    return Limits(
        max_upload_bytes=max_upload_bytes,
        temp_quota_bytes=temp_quota_bytes,
        max_audio_s=source.number("MAX_AUDIO_S", 43_200, minimum=1),
        interactive_audio_s=source.number("INTERACTIVE_AUDIO_S", 300, minimum=1),
        tenant_interactive_minutes=source.number("TENANT_INTERACTIVE_MINUTES", 30, minimum=1),
        retry_days=source.number("RETRY_DAYS", 7),
        stalled_after_s=source.number("STALLED_AFTER_S", 21_600, minimum=1),
    )

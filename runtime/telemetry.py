"""Logs and metrics of every process: structured lines on standard error, and the one list of metric names.

In: events of the program with ids. Out: JSON lines and Prometheus metrics.
Never logged: transcript text, file names, secrets; so of an exception its kind and place are logged, not its message,
and what libraries say below a warning is not logged at any level. Labels stay few: never a job or a tenant.
"""

import logging
import sys
import threading

import structlog
from prometheus_client import Counter, Gauge, Histogram

from runtime.discretion import Discreet, exceptions_described

NAMESPACE = "palimpsest"
PACKAGES = ("api", "bench", "cli", "effects", "local", "projections", "runtime", "schemas", "streams", "__main__")
_STAGE_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)

records_in = Counter("records_in", "Records read", ["topic"], namespace=NAMESPACE)
records_out = Counter("records_out", "Records written", ["topic"], namespace=NAMESPACE)
dead_letters = Counter(
    "dead_letters",
    "Records put on the dead-letter topic",
    ["cause"],
    namespace=NAMESPACE,
)
batch_seconds = Histogram(
    "batch_seconds",
    "Wall time of a batch",
    ["stage"],
    namespace=NAMESPACE,
    buckets=_STAGE_BUCKETS_S,
)
chunks_answered = Counter("chunks_answered", "Chunks answered", ["task", "outcome"], namespace=NAMESPACE)
audio_seconds = Counter("audio_seconds", "Audio processed, seconds", ["stage"], namespace=NAMESPACE)
jobs_accepted = Counter("jobs_accepted", "Jobs accepted", namespace=NAMESPACE)
jobs_ended = Counter("jobs_ended", "Jobs ended", ["status"], namespace=NAMESPACE)
jobs_stalled = Counter("jobs_stalled", "Jobs that stood still and were ended", namespace=NAMESPACE)
consumer_lag = Gauge(
    "consumer_lag",
    "Records not yet processed",
    ["topic", "partition"],
    namespace=NAMESPACE,
)
oldest_unprocessed_seconds = Gauge(
    "oldest_unprocessed_seconds",
    "How long the oldest record that is not yet processed has waited",
    ["topic"],
    namespace=NAMESPACE,
)
repeated_tries = Counter("repeated_tries", "Tries of work that was tried before", ["stage"], namespace=NAMESPACE)
fenced_writes = Counter(
    "fenced_writes",
    "Batches rolled back because another member owned the partition; the process then starts anew",
    namespace=NAMESPACE,
)
log_ends_lost = Counter(
    "log_ends_lost",
    "Partitions that no longer held what was read of them last; they are read again",
    ["topic"],
    namespace=NAMESPACE,
)
parked_inputs = Gauge("parked_inputs", "Inputs that wait for their job to be known", namespace=NAMESPACE)
projection_lag_seconds = Gauge(
    "projection_lag_seconds",
    "How long the oldest fact that a view does not show has waited",
    ["view"],
    namespace=NAMESPACE,
)
projection_drift = Counter(
    "projection_drift",
    "Sampled jobs whose views were not what the log says",
    namespace=NAMESPACE,
)
projection_samples = Counter("projection_samples", "Jobs whose views were compared with the log", namespace=NAMESPACE)
disk_free_ratio = Gauge("disk_free_ratio", "Free share of the disk of a folder", ["folder"], namespace=NAMESPACE)
outbox_depth = Gauge(
    "outbox_depth",
    "Facts committed and not yet acknowledged by the broker",
    namespace=NAMESPACE,
)
stopped_partitions = Gauge(
    "stopped_partitions",
    "Partitions stopped at a record that cannot be read",
    namespace=NAMESPACE,
)
out_of_memory = Counter(
    "out_of_memory", "Batches of rows for which the device's memory did not suffice", ["role"], namespace=NAMESPACE
)
model_load_seconds = Gauge("model_load_seconds", "Time to load the model", ["role"], namespace=NAMESPACE)
child_restarts = Counter(
    "child_restarts",
    "Model or decoder processes started again",
    ["cause"],
    namespace=NAMESPACE,
)

engine_up = Gauge("engine_up", "Whether an engine answers the API: 1 or 0", ["engine"], namespace=NAMESPACE)
uploads_refused = Counter("uploads_refused", "Uploads that got no promise", ["reason"], namespace=NAMESPACE)
upload_bytes = Counter("upload_bytes", "Bytes of audio taken in", namespace=NAMESPACE)
idempotent_replays = Counter("idempotent_replays", "Requests answered from an earlier one", namespace=NAMESPACE)
acceptances_repeated = Counter(
    "acceptances_repeated",
    "Accepted uploads produced again because they had not reached the log",
    namespace=NAMESPACE,
)
acceptances_given_up = Gauge(
    "acceptances_given_up",
    "Accepted uploads that never reached the log, however often they were produced; they are kept",
    namespace=NAMESPACE,
)
search_pending = Gauge(
    "search_pending",
    "Segments whose search document is behind the view, counted up to 10,000",
    namespace=NAMESPACE,
)
documents_refused = Counter(
    "documents_refused",
    "Search documents that the engine refused for good; their segments are not found",
    namespace=NAMESPACE,
)
documents_indexed = Counter("documents_indexed", "Search documents written", namespace=NAMESPACE)
objects_deleted = Counter("objects_deleted", "Objects deleted by sweeps", ["reason"], namespace=NAMESPACE)


def configure(process: str, level: str) -> None:
    """Sends structlog's and the standard library's records to standard error as JSON lines that name the process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        exceptions_described,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    handler.addFilter(Discreet())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries talk of what passes through them: requests, statements, rows.
    root.setLevel(max(logging.WARNING, _level(level)))
    for package in PACKAGES:
        logging.getLogger(package).setLevel(_level(level))
    logging.getLogger("opensearch").setLevel("ERROR")  # each failed request with its trace: whoever asked says it once
    structlog.contextvars.bind_contextvars(process=process)
    _hook_what_nobody_catches()


def _level(name: str) -> int:
    return logging.getLevelNamesMapping()[name.upper()]


def _hook_what_nobody_catches() -> None:
    """The interpreter would print a message and source lines."""
    log = logger("runtime")
    said = {"action": "process.broke"}
    sys.excepthook = lambda _, error, __: (
        None if isinstance(error, KeyboardInterrupt) else log.error("nobody caught it", exc_info=error, **said)
    )
    threading.excepthook = lambda thrown: log.error("a thread broke", exc_info=thrown.exc_value, **said)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; call it with an `action` for machines and ids bound as keywords."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log

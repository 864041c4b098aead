"""What came of a job, without what no two jobs have in common: the form in which two runs are compared.

In: settings and a job. Out: its facts, its rows in PostgreSQL, its documents in the index and its objects, as plain
values without ids of the job and without times.
"""

import json
from collections import Counter, defaultdict
from typing import Any

import httpx
import psycopg

from runtime.objects import ObjectStore
from runtime.settings import Settings
from tests.e2e.history import headers_of, messages, records
from tests.foreign_reader import foreign_reader

VOLATILE = frozenset(
    {
        "job_id", "event_id", "cause_id", "occurred_at", "created_at", "erased_at", "elapsed_ms", "batch_size",
        "key", "audio_key", "erased_key", "tries", "partition",
    }
)  # fmt: skip
# Chunks are answered in any order.
UNORDERED_TABLES = frozenset({"job_chunk"})
UNORDERED_FACTS = frozenset({"ChunkCompleted"})
# What the two tasks of a chunk each add to it, in the order in which they answered.
UNORDERED_LISTS = frozenset({"made_by", "failed", "warnings"})
# Work in hand and promises of single processes; everything else that names a job is a view.
WORKING_TABLES = (
    "assembler_",
    "chunker_",
    "accepted_requests",
    "idempotency_keys",
    "swept_jobs",
    "erasure",
    "audio_exp",
)
DOCUMENTS = 1_000
_TABLES = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'job_id' ORDER BY table_name
"""
Outcome = dict[str, list[str]]


class Outcomes:
    """Reads the outcomes of jobs of one workspace."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._objects = ObjectStore(settings.objects)
        self._http = httpx.Client(base_url=settings.opensearch.url, timeout=60.0)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
        self._objects.close()

    def views(self, tenant_id: str, job_id: str) -> Outcome:
        """Rows, documents and objects of a job, sorted."""
        found = self._rows(job_id)
        found["documents"] = self._documents(job_id)
        own = f"{tenant_id}/{job_id}/"
        found["objects"] = sorted(key.removeprefix(own) for key in self._objects.keys(own))
        return found

    def _rows(self, job_id: str) -> Outcome:
        with psycopg.connect(self._settings.postgres_dsn) as conn:
            tables = [row[0] for row in conn.execute(_TABLES) if not row[0].startswith(WORKING_TABLES)]
            found = {}
            for table in tables:
                rows = conn.execute(f"SELECT to_jsonb(t) FROM {table} AS t WHERE job_id = %s".encode(), (job_id,))
                extra = {"seq"} if table in UNORDERED_TABLES else set()
                found[table] = sorted(plain(row[0], extra) for row in rows)
        return found

    def _documents(self, job_id: str) -> list[str]:
        index = self._settings.opensearch.index_prefix + "segments"
        self._http.post(f"/{index}/_refresh").raise_for_status()
        query = {"query": {"term": {"job_id": job_id}}, "size": DOCUMENTS}
        hits = self._http.post(f"/{index}/_search", json=query).raise_for_status().json()["hits"]["hits"]
        # Without the version: it says how much was there to build the document from, so how soon it was built.
        return sorted(plain({"id": hit["_id"].partition("/")[2], "body": hit["_source"]}, set()) for hit in hits)


class Facts:
    """The facts of every job as the log stands, and every way in which it breaks its promise."""

    def __init__(self, settings: Settings) -> None:
        topic = settings.kafka.topic("transcripts")
        read = foreign_reader(settings.registry_url, topic)
        last: dict[bytes, bytes | None] = {}
        kinds: dict[bytes, str] = {}
        self.violations: list[str] = []
        for key, value, kind in records(settings.kafka.bootstrap, topic):
            before = last.get(key)
            if before is not None and value is not None and before != value:
                self.violations.append(f"I4, I9: {key!r} stands twice with other content")
            last[key], kinds[key] = value, kind or kinds.get(key, "")
        self.of_job: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key, value in last.items():
            if value is not None:
                fields = read(value)
                self.of_job[fields["job_id"]].append({"kind": kinds[key], **fields})
        for job_id, facts in self.of_job.items():
            self._check(job_id, facts)

    def normal(self, job_id: str) -> Counter[str]:
        """Facts by kind and content."""
        return Counter(
            plain(fact, {"seq"} if fact["kind"] in UNORDERED_FACTS else set()) for fact in self.of_job[job_id]
        )

    def _check(self, job_id: str, facts: list[dict[str, Any]]) -> None:
        numbers = sorted(fact["seq"] for fact in facts)
        kinds = [fact["kind"] for fact in facts]
        if "JobErased" in kinds:
            if kinds != ["JobErased"]:
                self.violations.append(f"I26: {job_id} is erased and still says {kinds}")
        elif numbers != list(range(1, len(facts) + 1)):
            self.violations.append(f"I4: {job_id} is numbered {numbers}")
        endings = [kind for kind in kinds if kind in ("TranscriptCompleted", "JobFailed", "JobCancelled")]
        if len(endings) > 1 + kinds.count("JobRetried"):
            self.violations.append(f"I3: {job_id} ended as {endings}")


def dead_letters(settings: Settings) -> Counter[tuple[str, str]]:
    """How often each key was put on the dead-letter topic, by the group that did it."""
    topic = settings.kafka.topic("dead-letters")
    return Counter(
        ((letter.key() or b"").decode(), headers_of(letter)["__dlq.errors.group"])
        for letter in messages(settings.kafka.bootstrap, topic)
    )


def plain(value: Any, extra: set[str]) -> str:
    """A value as text, without what differs from job to job."""
    return json.dumps(_stripped(value, VOLATILE | extra), sort_keys=True, default=str)


def _stripped(value: Any, names: frozenset[str]) -> Any:
    match value:
        case dict():
            kept = {name: _stripped(item, names) for name, item in value.items() if name not in names}
            return kept | {name: sorted(kept[name], key=json.dumps) for name in UNORDERED_LISTS & kept.keys()}
        case list() | tuple():
            return [_stripped(item, names) for item in value]
        case _:
            return value

"""Whether the views are what the log says: now and then a few recent jobs are folded anew and compared.

In: the end of a partition up to the offset that the views have reached, both read in one snapshot, so that a projector
that is behind raises no alarm. Out: the metrics of samples and drift, and an error in the log that names the jobs. The
fold is that of the projections themselves, into temporary tables of their names, which end with the connection.
Knows no view by name.
"""

import random
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from psycopg import sql

from projections.applying import apply_facts
from projections.registry import PROJECTIONS
from runtime.errors import Unavailable
from runtime.postgres import Connection, connection
from runtime.settings import Settings
from runtime.telemetry import logger, projection_drift, projection_samples
from runtime.topic_reader import read_span
from schemas.codec import Codec
from schemas.records import JobErased, TranscriptRecord
from schemas.topics import TRANSCRIPTS

PERIOD_S = 60.0
WINDOW_RECORDS = 500
JOBS_PER_SAMPLE = 5
STOP_TIMEOUT_S = 5.0
# Marks of what is not indexed yet come and go; they are no view.
NOT_A_VIEW = frozenset({"search_pending"})
_TABLES = tuple(table for projection in PROJECTIONS for table in projection.tables)
_SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ"
_REACHED = b"SELECT partition, next_offset FROM consumer_offsets WHERE consumer = %s AND topic = %s AND next_offset > 0"

log = logger(__name__)
History = Sequence[TranscriptRecord]


class Sampler:
    """A thread beside the consumer loop; what goes wrong in it is for the log and never ends the process."""

    def __init__(self, settings: Settings, codec: Codec, consumer: str) -> None:
        """`consumer` is whose offsets say how far the views are."""
        self._settings = settings
        self._codec = codec
        self._consumer = settings.kafka.group(consumer)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it after the sample in hand."""
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)

    def sample(self) -> list[str]:
        """Compares a few jobs of one partition; the tables and jobs that differ."""
        with connection(self._settings.postgres_dsn, autocommit=True) as conn:
            conn.execute(_SNAPSHOT)  # ends with the connection
            reached = conn.execute(_REACHED, (self._consumer, TRANSCRIPTS)).fetchall()
            if not reached:
                return []
            partition, following = random.choice(reached)
            chosen = self._recent(partition, following)
            differing = drifted(conn, partition, chosen) if chosen else []
        projection_samples.inc(len(chosen))
        return differing

    def _recent(self, partition: int, following: int) -> Mapping[str, History]:
        start = max(0, following - WINDOW_RECORDS)
        found = read_span(self._settings.kafka, TRANSCRIPTS, partition, start, following)
        facts = [self._codec.decode(record.value) for record in found if record.value is not None]
        histories = complete(fact for fact in facts if isinstance(fact, TranscriptRecord))
        chosen = random.sample(sorted(histories), min(JOBS_PER_SAMPLE, len(histories)))
        return {job_id: histories[job_id] for job_id in chosen}

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            try:
                differing = self.sample()
            except Unavailable as error:
                log.info("no sample", action="drift.wait", trouble=str(error))
            except Exception as error:
                log.exception("a sample broke", action="drift.broke", kind=type(error).__name__)
            else:
                if differing:
                    projection_drift.inc(len(differing))
                    log.error("views are not what the log says", action="drift.found", differing=differing)


def complete(facts: Iterable[TranscriptRecord]) -> dict[str, History]:
    """The jobs of which every fact is here, each fact once; of an erased one what the erasure leaves is enough."""
    by_job: dict[str, dict[int, TranscriptRecord]] = defaultdict(dict)
    for fact in facts:
        by_job[fact.job_id].setdefault(fact.seq, fact)
    return {
        job_id: [known[seq] for seq in sorted(known)]
        for job_id, known in by_job.items()
        if len(known) == max(known) or any(isinstance(fact, JobErased) for fact in known.values())
    }


def drifted(conn: Connection, partition: int, histories: Mapping[str, History]) -> list[str]:
    """`table: job` for each job whose rows in a view differ from the fold of its facts."""
    for table in _TABLES:
        name = sql.Identifier(table)
        conn.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE public.{} INCLUDING ALL)").format(name, name))
    apply_facts(conn, partition, [fact for history in histories.values() for fact in history])
    found = []
    for table in _TABLES:
        if table not in NOT_A_VIEW:
            rows = conn.execute(_DIFFERENCE.format(table=sql.Identifier(table)), {"job_ids": list(histories)})
            found += [f"{table}: {job_id}" for (job_id,) in rows]
    return found


_DIFFERENCE = sql.SQL(
    """
    WITH shown AS (SELECT job_id, t::text FROM public.{table} AS t WHERE job_id = ANY(%(job_ids)s)),
         told AS (SELECT job_id, t::text FROM pg_temp.{table} AS t WHERE job_id = ANY(%(job_ids)s))
    SELECT DISTINCT job_id FROM (
        (TABLE shown EXCEPT ALL TABLE told) UNION ALL (TABLE told EXCEPT ALL TABLE shown)
    ) AS differing ORDER BY job_id
    """
)

"""Recovery: on assignment, whatever the log of `transcripts` knows and the database does not is folded into the states.

In: our partitions, and how far the database knows the log. Out: states, inputs marked as applied, the place in the
log, committed batch by batch: killed anywhere, it goes on. Usually there is nothing to do but to look at the log's end;
after an older copy of the database was restored, or none, it is how everything comes back.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from runtime import telemetry
from runtime.errors import Unavailable
from runtime.kafka import Incoming
from runtime.postgres import Connection, transaction
from runtime.settings import Kafka
from runtime.telemetry import logger
from runtime.topic_reader import Onwards, read_onwards
from schemas import records
from schemas.codec import Codec, UndecodableRecord
from schemas.topics import TRANSCRIPTS
from streams.assembler.recovery import ANSWERS, Recovered, Relearning
from streams.assembler.state import State
from streams.assembler.store import Store

BATCH_RECORDS = 500
POLL_S = 0.5

log = logger(__name__)


class Recovery:
    """One run for the partitions of an assignment. Jobs whose work has to go on are noted in the database."""

    def __init__(self, kafka: Kafka, codec: Codec, store: Store) -> None:
        self._kafka = kafka
        self._codec = codec
        self._store = store
        self._learned: dict[int, Relearning] = {}

    def run(self, conn: Connection, claims: Mapping[int, int]) -> None:
        """Brings the database up to the log; raises Unavailable, and Fenced where a partition is lost meanwhile."""
        self._learned = {partition: Relearning() for partition in claims}
        starts = self._store.log_places(conn)
        with read_onwards(self._kafka, TRANSCRIPTS, starts, only=claims) as reader:
            ends = reader.ends()
            for partition in claims:
                if starts.get(partition, 0) > ends[partition]:
                    log.error("the log is shorter than it was", action="recovery.log_lost", partition=partition)
                    telemetry.log_ends_lost.labels(TRANSCRIPTS).inc()
            while any(reader.places[partition] < ends[partition] for partition in claims):
                arrived = sorted(reader.read(BATCH_RECORDS, POLL_S), key=lambda record: record.partition)
                for partition, group in groupby(arrived, key=lambda record: record.partition):
                    self._batch(conn, partition, claims[partition], list(group))
            for partition, claim in claims.items():
                self._finish(conn, partition, claim, reader)

    def _batch(self, conn: Connection, partition: int, claim: int, arrived: Sequence[Incoming]) -> None:
        learned = self._learned[partition]
        for record in arrived:
            if record.value is not None:
                learned.take(record.offset, self._fact(record))
        with transaction(conn, "recovery.commit"):
            self._fold(conn, partition, claim, final=False)
            self._store.put_log_place(conn, partition, learned.place(arrived[-1].offset + 1))

    def _finish(self, conn: Connection, partition: int, claim: int, reader: Onwards) -> None:
        with transaction(conn, "recovery.commit"):
            self._fold(conn, partition, claim, final=True)
            self._store.put_log_place(conn, partition, reader.places[partition])

    def _fold(self, conn: Connection, partition: int, claim: int, *, final: bool) -> None:
        self._store.check_claim(conn, partition, claim)
        learned = self._learned[partition]
        before = self._store.lock(conn, learned.waiting)
        folded = list(learned.fold(before, final=final))
        after = {state.job_id: state for state, _ in folded}
        self._store.save(conn, partition, before, after)
        self._store.mark_applied(conn, [(fact.cause_id, 0) for _, fact in folded if isinstance(fact, ANSWERS)])
        # What stood in an older outbox was published before the facts that the log has beyond it.
        self._store.forget_outbox(conn, sorted(after))
        self._store.forget_results(conn, [job_id for job_id, state in sorted(after.items()) if _needs_none(state)])
        last = {fact.job_id: fact for _, fact in folded}
        self._store.note_recovered(conn, partition, [_recovered(fact) for fact in last.values()])
        if last:
            log.warning("jobs were behind the log", action="recovery.batch", partition=partition, jobs=len(last))

    def _fact(self, record: Incoming) -> records.TranscriptRecord:
        """Without a fact a number might be given twice: better not to start."""
        try:
            fact = self._codec.decode(record.value or b"")
        except UndecodableRecord as error:
            log.error("the log cannot be read", action="recovery.undecodable", offset=record.offset, why=str(error))
            raise Unavailable(f"{record.topic}/{record.partition}@{record.offset}: {error}") from error
        assert isinstance(fact, records.TranscriptRecord)
        return fact


def _recovered(fact: records.TranscriptRecord) -> Recovered:
    return Recovered(job_id=fact.job_id, tenant_id=fact.tenant_id, cause_id=fact.cause_id, occurred_at=fact.occurred_at)


def _needs_none(state: State) -> bool:
    return not state.open and not state.retryable

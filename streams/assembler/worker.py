"""The assembler: the one writer of every job's history.

In: uploads, controls, results and corrections. Out: `transcripts`, numbered, and work for the lanes on retry.
One PostgreSQL transaction holds decision, dedupe, outgoing bytes and offsets; what is committed is then published in
order and removed from the outbox. Rules are in the pure modules, SQL in `store`; this is the loop that joins them.
"""

import os
import threading
import time
from collections.abc import Iterable, Sequence

from runtime import faults, telemetry
from runtime.consumer import BATCH_RECORDS, ConsumerLoop, Subscription
from runtime.errors import Fenced
from runtime.faults import crash_point
from runtime.health import Health, serve
from runtime.kafka import EventProducer, Incoming
from runtime.postgres import Connection, check_schema, connection, transaction
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.stopping import stop_signal
from schemas import records
from schemas.codec import Codec, UndecodableRecord
from schemas.topics import CONTROLS, CORRECTIONS, TRANSCRIPTIONS, TRANSCRIPTS, UPLOADS, UPLOADS_LONG
from streams.assembler.assembly import task_of
from streams.assembler.attempts import MAX_ATTEMPTS, Attempts, name_of
from streams.assembler.batch import Batch, Given, Place
from streams.assembler.decide import LogInput
from streams.assembler.recovering import Recovery
from streams.assembler.state import State
from streams.assembler.store import Slot, Store
from streams.assembler.workshop import Finished, Workshop

NAME = "assembler"
TOPICS = (UPLOADS, UPLOADS_LONG, CONTROLS, TRANSCRIPTIONS, CORRECTIONS)
# So many inputs of a partition are noted one by one after an assignment: no batch that may have crashed holds more.
CAREFUL_RECORDS = BATCH_RECORDS
PARKED_S = 3_600.0
RESUMED_AT_ONCE = 200
CHORE_PERIOD_S = 10.0
PRUNE_PERIOD_S = 3_600.0
APPLIED_DAYS = 15  # working topics keep records for 7 days, dead letters for 14

log = telemetry.logger(__name__)


class Assembler:
    """The handler of the consumer loop."""

    def __init__(self, settings: Settings, codec: Codec, producer: EventProducer, workshop: Workshop) -> None:
        self._settings = settings
        self._codec = codec
        self._producer = producer
        self._workshop = workshop
        self._store = Store()
        self._claims: dict[int, int] = {}
        self._pending: list[Slot] = []
        self._orders: list[tuple[int, State]] = []
        self._orders_left = False  # in the database, because the workshop had no room
        self._attempts = Attempts(settings.postgres_dsn)
        self._careful: dict[int, int] = {}
        self._chores_at_s = 0.0
        self._pruned_at_s = 0.0

    def assigned(self, conn: Connection, partitions: frozenset[int]) -> None:
        """Claims the partitions and publishes what was committed and never sent; open assemblies are taken up next."""
        self._workshop.keep_only(partitions)
        self._store.forget_states()
        self._pending, self._orders = [], []
        self._claims = {}
        self._careful = dict.fromkeys(partitions, CAREFUL_RECORDS)
        for partition in sorted(partitions):
            with transaction(conn, "claim.commit"):
                self._claims[partition] = self._store.claim(conn, partition)
        self._recover(conn)
        self._pending, self._orders = [], []  # what it decided is read with what a stop left
        for partition in sorted(partitions):
            with transaction(conn, "leftovers.commit"):
                self._pending += self._store.outbox(conn, partition)
        if self._pending:
            log.info("publishing what a stop left", action="assembler.leftovers", records=len(self._pending))
        self._orders_left = True
        telemetry.outbox_depth.set(0)  # what waits in other partitions their members tell
        self._after_commit(conn)

    def _recover(self, conn: Connection) -> None:
        """The log wins over an older database: states as far as it, then whatever their jobs need to go on."""
        Recovery(self._settings.kafka, self._codec, self._store).run(conn, self._claims)
        for partition in self._claims:
            with transaction(conn, "resume.commit"):
                again = self._store.take_recovered(conn, partition, RESUMED_AT_ONCE)
                while again:
                    self._write(conn, self._batch(partition), [Given(input=item) for item in again])
                    again = self._store.take_recovered(conn, partition, RESUMED_AT_ONCE)
                self._unpark(conn, partition)

    def _unpark(self, conn: Connection, partition: int) -> None:
        """Inputs whose job became known without them."""
        job_ids = self._store.parked_and_known(conn, partition)
        if not job_ids:
            return
        batch = self._batch(partition)
        before = self._store.lock(conn, job_ids)
        batch.states.update(before)
        for job_id in job_ids:
            self._follow(conn, batch, job_id)
        self._save(conn, batch, before)

    def apply(self, conn: Connection, partition: int, records: Sequence[Incoming]) -> None:
        """Applies records of one partition inside the open transaction.

        The first after an assignment one by one, each noted before: if the member before us was taken down by one of
        them, it is found. One that comes alone is noted as well, which costs little where little comes.
        """
        present = [record for record in records if record.value is not None]
        careful = min(self._careful.get(partition, 0), len(present)) if len(present) > 1 else len(present)
        for record in present[:careful]:
            self._write(conn, self._batch(partition, careful=True), [record])
        self._careful[partition] = max(0, self._careful.get(partition, 0) - careful)
        if rest := present[careful:]:
            self._write(conn, self._batch(partition), rest)

    def committed(self, conn: Connection, partition: int) -> None:
        """Starts the assemblies that were ordered, then publishes."""
        self._attempts.end()
        self._after_commit(conn)

    def tick(self, conn: Connection) -> None:
        """Takes in finished assemblies and takes up what waits; now and then ends what waits in vain."""
        for finished in self._workshop.poll():
            self._take_in(conn, finished)
        if self._orders_left and self._workshop.wanted:
            self._take_up_orders(conn)
        now_s = time.monotonic()
        if now_s - self._chores_at_s > CHORE_PERIOD_S:
            self._chores_at_s = now_s
            self._chores(conn, now_s)

    def _take_in(self, conn: Connection, finished: Finished) -> None:
        if finished.partition not in self._claims:
            return  # the partition went to another member, which assembles again
        begun_before = self._attempts.begin(name_of(finished.input))
        given = Given(input=finished.input, deadly=begun_before >= MAX_ATTEMPTS)
        with transaction(conn, "assembly.commit"):
            self._write(conn, self._batch(finished.partition), [given])
        self._attempts.end()
        self._after_commit(conn)

    def _take_up_orders(self, conn: Connection) -> None:
        """The oldest orders that have not come back, as many as the workshop takes."""
        wanted = self._workshop.wanted
        with transaction(conn, "leftovers.commit"):
            partitions = self._store.assembling(conn, list(self._claims), wanted)
            states = self._store.lock(conn, partitions)
        self._orders_left = len(partitions) == wanted
        self._submit([(partition, states[job_id]) for job_id, partition in partitions.items()])

    def _submit(self, orders: Sequence[tuple[int, State]]) -> None:
        for partition, state in orders:
            if (task := task_of(state, partition)) is not None and not self._workshop.submit(task):
                self._orders_left = True

    def close(self) -> None:
        """What is in hand when an error is raised is not at fault."""
        self._attempts.take_back()
        self._attempts.close()

    def _chores(self, conn: Connection, now_s: float) -> None:
        prune = now_s - self._pruned_at_s > PRUNE_PERIOD_S
        for partition, claim in self._claims.items():
            with transaction(conn, "chores.commit"):
                self._store.check_claim(conn, partition, claim)
                batch = self._batch(partition)
                for incoming in self._store.expired(conn, partition, PARKED_S):
                    batch.expire(incoming)
                self._save(conn, batch, {})
                if prune:
                    days = self._settings.limits.retry_days
                    self._store.prune(conn, partition, applied_days=APPLIED_DAYS, result_days=days)
        telemetry.parked_inputs.set(self._store.parked(conn, list(self._claims)))
        if prune:
            self._pruned_at_s = now_s
        self._after_commit(conn)

    def _write(self, conn: Connection, batch: Batch, arrived: Sequence[Incoming | Given]) -> None:
        partition = batch.place.partition
        if partition not in self._claims:
            raise Fenced(f"partition {partition} is not ours")
        self._store.check_claim(conn, partition, self._claims[partition])
        given = [item if isinstance(item, Given) else self._read(batch, item, name_of(item)) for item in arrived]
        known = [item for item in given if item is not None]
        before = self._store.lock(conn, (item.input.job_id for item in known))
        batch.states.update(before)
        batch.done |= self._store.applied(conn, [i[0] for item in known if (i := item.identity)])
        for item in known:
            if batch.take(item):
                self._follow(conn, batch, item.input.job_id)
        self._save(conn, batch, before)

    def _follow(self, conn: Connection, batch: Batch, job_id: str) -> None:
        """The job is known now: what waited for it comes next, in order."""
        waiting = [*self._store.unpark(conn, job_id), *batch.unpark(job_id)]
        for incoming in waiting:
            # Under another name than when it was parked, which it survived.
            if (item := self._read(batch, incoming, f"parked/{name_of(incoming)}")) is not None:
                batch.done |= self._store.applied(conn, [i[0] for i in (item.identity,) if i])
                batch.take(item)

    def _read(self, batch: Batch, incoming: Incoming, name: str) -> Given | None:
        begun_before = self._attempts.begin(name) if batch.careful else 0
        if begun_before > MAX_ATTEMPTS:
            batch.unread(incoming)
            return None
        try:
            record = self._codec.decode(incoming.value or b"")
        except UndecodableRecord as error:
            batch.undecodable(incoming, error)
            return None
        if not isinstance(record, LogInput):
            batch.undecodable(incoming, UndecodableRecord(f"{type(record).__name__} does not belong here"))
            return None
        return Given(input=record, incoming=incoming, deadly=begun_before == MAX_ATTEMPTS)

    def _batch(self, partition: int, *, careful: bool = False) -> Batch:
        kafka = self._settings.kafka
        place = Place(partition=partition, partitions=kafka.partitions, group=kafka.group(NAME))
        return Batch(place=place, codec=self._codec, careful=careful)

    def _save(self, conn: Connection, batch: Batch, before: dict[str, State]) -> None:
        partition = batch.place.partition
        self._store.save(conn, partition, before, batch.states)
        self._store.mark_applied(conn, batch.applied)
        self._store.keep(conn, batch.results)
        self._store.forget_results(conn, sorted(batch.finished | batch.erased))
        self._store.forget_outbox(conn, sorted(batch.erased))
        for item in self._store.park(conn, batch.parked):
            batch.crowded_out(item.incoming)
        self._store.put_out(conn, batch.slots)
        self._pending = [*(slot for slot in self._pending if slot.job_id not in batch.erased), *batch.slots]
        self._orders += [(partition, state) for state in batch.ordered()]
        _count(batch.facts)

    def _after_commit(self, conn: Connection) -> None:
        orders, self._orders = self._orders, []
        self._submit(orders)
        pending, self._pending = self._pending, []
        if pending:
            telemetry.outbox_depth.set(len(pending))
            self._publish(conn, pending)
            telemetry.outbox_depth.set(0)

    def _publish(self, conn: Connection, slots: list[Slot]) -> None:
        for slot in slots:
            with crash_point("outbox.produce"):
                self._producer.send(slot.out)
        with crash_point("outbox.flush"):
            self._producer.flush()
        with transaction(conn, "outbox.sent"):
            self._store.sent(conn, slots)
            for partition, following in self._producer.acknowledged(TRANSCRIPTS).items():
                self._store.advance_log_place(conn, partition, following)


_ENDINGS = {
    records.TranscriptCompleted: "completed",
    records.JobFailed: "failed",
    records.JobCancelled: "cancelled",
    records.JobErased: "erased",
}


def _count(facts: Iterable[records.TranscriptRecord]) -> None:
    for fact in facts:
        if isinstance(fact, records.JobAccepted):
            telemetry.jobs_accepted.inc()
        elif ending := _ENDINGS.get(type(fact)):
            telemetry.jobs_ended.labels(ending).inc()


def run(settings: Settings, stop: threading.Event) -> None:
    """Runs until `stop`; raises when the process must be restarted."""
    health = Health()
    server = serve(health, settings.health_port, settings.health_host)
    health.detail(process=NAME, port=server.server_port)
    registry = Registry(settings.registry_url)
    registry.resolve_all()
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        check_schema(conn)
        # Without a broker nobody gets partitions, whose outbox would be counted then.
        telemetry.outbox_depth.set(Store().outbox_depth(conn))
    workshop = Workshop(settings)
    try:
        handler = Assembler(settings, Codec(registry), EventProducer(settings.kafka), workshop)
        subscription = Subscription(name=NAME, topics=TOPICS, instance_id=settings.instance_id)
        try:
            ConsumerLoop(settings.kafka, settings.postgres_dsn, subscription, handler, health).run(stop)
        finally:
            handler.close()
    finally:
        workshop.close()
        server.shutdown()
        server.server_close()


def main() -> None:
    """Entry point of `python -m streams.assembler.worker`."""
    settings = Settings.read(os.environ)
    telemetry.configure(NAME, settings.log_level)
    faults.arm(NAME, settings.faults)
    stop = stop_signal()
    run(settings, stop)
    log.info("stopped", action="assembler.stopped")


if __name__ == "__main__":
    main()

"""The projector: the log of `transcripts` into the views.

In: facts from Kafka. Out: rows in PostgreSQL, in one transaction with the offsets and with the notice of each fact's
cause; then documents in OpenSearch, by the indexer. A record that cannot be read stops its partition: nothing is
skipped. Tombstones and nudges say nothing. Knows no view by name.
"""

import os
import threading
from collections.abc import Sequence

from projections.applying import apply_facts
from projections.drift import Sampler
from projections.facts import fact_of
from projections.history.queries import OUTCOME_CHANNEL
from projections.rebuilding.erasing import forget_beside
from projections.search.indexer import Indexer
from projections.search.waiting import IndexLag
from runtime import faults, telemetry
from runtime.consumer import ConsumerLoop, Subscription
from runtime.health import Health, serve
from runtime.kafka import Incoming
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection, check_schema, connection
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.stopping import stop_signal
from schemas.codec import Codec
from schemas.topics import TRANSCRIPTS

NAME = "projector"
_NOTIFY = b"SELECT pg_notify(%(channel)s, cause) FROM unnest(%(causes)s::text[]) AS cause"


class Projector:
    """The handler of the consumer loop."""

    def __init__(self, codec: Codec, indexer: Indexer) -> None:
        self._codec = codec
        self._indexer = indexer
        self._index_lag = IndexLag()
        self._partitions: frozenset[int] = frozenset()

    def assigned(self, conn: Connection, partitions: frozenset[int]) -> None:
        """What a crash left unindexed comes first."""
        self._indexer.take(partitions)
        self._partitions = partitions

    def apply(self, conn: Connection, partition: int, records: Sequence[Incoming]) -> None:
        """Rows and notices of a batch; raises StopPartition at a record that is no fact."""
        facts = [fact for record in records if (fact := fact_of(self._codec, record)) is not None]
        apply_facts(conn, partition, facts)
        forget_beside(conn, partition, facts)
        causes = list(dict.fromkeys(fact.cause_id for fact in facts))
        conn.execute(_NOTIFY, {"channel": OUTCOME_CHANNEL, "causes": causes})

    def committed(self, conn: Connection, partition: int) -> None:
        """The batch can be seen: its documents may follow."""
        self._indexer.wake()

    def tick(self, conn: Connection) -> None:
        """Raises what ended the indexer; says how far the index is behind."""
        self._indexer.check()
        self._index_lag.look(conn, sorted(self._partitions))


def run(settings: Settings, stop: threading.Event) -> None:
    """Projects until `stop`; raises when the process must be started again."""
    with connection(settings.postgres_dsn, autocommit=True) as conn:
        check_schema(conn)
    health = Health()
    server = serve(health, settings.health_port, settings.health_host)
    engine = SearchEngine(settings.opensearch)
    indexer = Indexer(engine, settings.postgres_dsn)
    codec = Codec(Registry(settings.registry_url))
    handler = Projector(codec, indexer)
    sampler = Sampler(settings, codec, NAME)
    subscription = Subscription(name=NAME, topics=(TRANSCRIPTS,), instance_id=settings.instance_id)
    loop = ConsumerLoop(settings.kafka, settings.postgres_dsn, subscription, handler, health)
    indexer.start()
    sampler.start()
    try:
        loop.run(stop)
    finally:
        sampler.stop()
        indexer.stop()
        engine.close()
        server.shutdown()


def main() -> None:
    """Runs the process until SIGTERM."""
    settings = Settings.read(os.environ)
    telemetry.configure(NAME, settings.log_level)
    faults.arm(NAME, settings.faults)
    stop = stop_signal()
    run(settings, stop)


if __name__ == "__main__":
    main()

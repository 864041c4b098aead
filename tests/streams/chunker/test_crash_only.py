"""What the application does not trust Faust with."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtime.kafka import EventProducer, Outgoing
from runtime.settings import Settings
from schemas.topics import UPLOADS
from streams.chunker.crash_only import HANDED_OUT_WITHIN_S, RecordSkipped, Succession, crash_only_app, records

HANDED_OUT_TIMEOUT_S = 60.0


def test_records_that_follow_one_another_or_come_again_are_taken() -> None:
    succession = Succession()
    for partition, offset in ((0, 7), (1, 0), (0, 8), (0, 9), (0, 8), (0, 9), (0, 10), (1, 1)):
        succession.take(partition, offset)


def test_a_record_after_one_that_never_came_is_refused() -> None:
    succession = Succession()
    succession.take(0, 7)
    succession.take(1, 20)
    with pytest.raises(RecordSkipped, match="partition 0: 9 was handed out where 8 is next"):
        succession.take(0, 9)
    succession.take(0, 8)


def test_a_partition_that_comes_back_goes_on_where_another_member_left_it() -> None:
    succession = Succession()
    succession.take(0, 7)
    succession.resume(0, 20)
    succession.take(0, 20)
    succession.resume(0, 30)
    with pytest.raises(RecordSkipped, match="31 was handed out where 30 is next"):
        succession.take(0, 31)
    succession.resume(0, None)
    succession.take(0, 50)


def test_records_that_wait_while_nothing_is_handed_out_end_the_process() -> None:
    succession = Succession()
    late_s = HANDED_OUT_WITHIN_S + 1
    succession.watch(0.0, True)
    succession.watch(late_s, False)
    succession.watch(late_s, True)
    succession.take(0, 7)
    succession.watch(2 * late_s, True)
    succession.watch(9 * late_s, True)  # a long record is no fault
    succession.done()
    succession.watch(10 * late_s, True)
    with pytest.raises(RecordSkipped, match="none was handed out"):
        succession.watch(11 * late_s, True)


async def test_a_record_that_was_on_its_way_when_the_flow_stopped_comes_again(
    workspace: Mapping[str, str], tmp_path: Path
) -> None:
    settings = Settings.read(workspace)
    app = crash_only_app(settings.kafka, "reader", "", tmp_path)
    topic = app.topic(settings.kafka.topic(UPLOADS), key_serializer="raw", value_serializer="raw")
    taken: asyncio.Queue[int] = asyncio.Queue()
    fetched = asyncio.Event()

    @app.agent(topic, concurrency=1)
    async def read(stream: Any) -> AsyncIterator[None]:
        async for incoming in records(app, stream, settings.kafka.topic_prefix):
            taken.put_nowait(incoming.offset)
            yield

    await app.start()
    try:
        consumer: Any = app.consumer
        fetch = consumer._getmany

        async def stopped_by_a_rebalance(*args: Any, **kwargs: Any) -> Any:
            found = await fetch(*args, **kwargs)
            if found and not fetched.is_set():
                consumer.stop_flow()
                fetched.set()
            return found

        consumer._getmany = stopped_by_a_rebalance
        producer = EventProducer(settings.kafka)
        producer.send(Outgoing(topic=UPLOADS, partition=0, key=b"k", value=b"v"))
        producer.flush()
        await asyncio.wait_for(fetched.wait(), HANDED_OUT_TIMEOUT_S)
        consumer.resume_flow()
        assert await asyncio.wait_for(taken.get(), HANDED_OUT_TIMEOUT_S) == 0
    finally:
        await app.stop()

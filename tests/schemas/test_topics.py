"""The topic table: every record has a home, and its address is the same for every producer."""

from typing import get_args

import pytest
from hypothesis import given

from schemas.identity import partition_for
from schemas.records import ChunkCut, Fact, Record
from schemas.topics import (
    BY_NAME,
    TOPICS,
    TRANSCRIPTS,
    UPLOADS,
    UPLOADS_LONG,
    address,
    lane_topic,
    upload_topic,
)
from schemas.values import Lane
from tests.schemas.records_strategy import any_record


def test_every_record_has_a_topic() -> None:
    assert {record for topic in TOPICS for record in topic.records} == set(get_args(Record))


@given(any_record())
def test_records_of_a_job_share_a_partition(record: Record) -> None:
    topic = next(topic.name for topic in TOPICS if isinstance(record, topic.records))
    place = address(record, topic, 4)
    if isinstance(record, ChunkCut):
        assert place.key == f"{record.job_id}/{record.index}".encode()
        assert place.partition == partition_for(place.key, 4)
    else:
        assert place.partition == partition_for(record.job_id.encode(), 4)
    assert place.key.startswith(record.job_id.encode())


@given(any_record())
def test_only_facts_belong_on_transcripts(record: Record) -> None:
    if isinstance(record, Fact):
        assert address(record, TRANSCRIPTS, 4).key.endswith(f"/{record.seq}".encode())
    else:
        with pytest.raises(ValueError, match="does not belong"):
            address(record, TRANSCRIPTS, 4)


def test_transcripts_is_kept_for_ever_and_rolls_by_broker_time() -> None:
    config = BY_NAME[TRANSCRIPTS].config
    assert config["cleanup.policy"] == "compact"
    assert config["message.timestamp.type"] == "LogAppendTime"


def test_large_uploads_have_their_own_topic() -> None:
    assert upload_topic(50_000_000) == UPLOADS
    assert upload_topic(50_000_001) == UPLOADS_LONG


def test_every_lane_has_a_topic() -> None:
    assert all(lane_topic(lane) in BY_NAME for lane in Lane)

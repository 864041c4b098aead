"""Ids and partitions are the same in every language: golden values come from Java's own implementation."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import (
    event_id,
    fact_key,
    is_job_id,
    job_id_for,
    murmur2,
    partition_for,
)

# From org.apache.kafka.common.utils.Utils.murmur2 (Apache Kafka 4.3.1), signed 32-bit.
JAVA_MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "expected"), JAVA_MURMUR2.items())
def test_murmur2_equals_javas(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected % 2**32


@given(st.binary(max_size=64), st.integers(1, 64))
def test_partition_is_within_the_topic(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions


def test_event_id_depends_on_cause_kind_and_ordinal_alone() -> None:
    first = event_id("cause", "ChunkCut", 0)
    assert first == event_id("cause", "ChunkCut", 0)
    assert (
        len(
            {
                first,
                event_id("cause", "ChunkCut", 1),
                event_id("cause", "ChunkFailed", 0),
                event_id("other", "ChunkCut", 0),
            }
        )
        == 4
    )
    assert UUID(first).version == 5


def test_job_id_belongs_to_one_tenant() -> None:
    assert job_id_for("a", "key") != job_id_for("b", "key")
    assert is_job_id(job_id_for("a", "key"))
    assert not is_job_id("../../etc/passwd")


def test_event_ids_are_the_ones_already_in_logs() -> None:
    """Changing the namespace or the text under the hash would make every replayed handler write new events."""
    assert event_id("c", "ChunkCut", 3) == "6e5c0e92-569c-56e2-9292-95ba1c61dbec"
    assert job_id_for("tenant", "key") == "3ba4832c-5d84-5348-ac5a-5a48e9e1ece8"
    assert fact_key("job", 7) == b"job/7"

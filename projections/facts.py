"""Facts out of records of `transcripts`.

In: a record as it was read. Out: its fact; none for tombstones and nudges. What is no fact stops its partition.
"""

from runtime.consumer import StopPartition
from runtime.kafka import Incoming
from schemas.codec import Codec, UndecodableRecord
from schemas.records import TranscriptRecord
from schemas.topics import TRANSCRIPTS


def fact_of(codec: Codec, record: Incoming) -> TranscriptRecord | None:
    """The fact, if the record is one; raises StopPartition where it cannot be read."""
    if record.value is None:
        return None
    try:
        fact = codec.decode(record.value)
    except UndecodableRecord as error:
        raise StopPartition(record, str(error)) from error
    if not isinstance(fact, TranscriptRecord):
        raise StopPartition(record, f"{type(fact).__name__} does not belong on {TRANSCRIPTS}")
    return fact

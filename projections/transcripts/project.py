"""The view `transcripts`: segments as they stand now, speakers, names and merges.

In: one fact. Out: the rows it contributes; a removed segment leaves a marker row. A merge of speakers rewrites no
segment: queries resolve it. Knows no other fact, no database and no clock.
"""

import re
from typing import Any, assert_never

from projections.writes import Statement, Write, stamp
from schemas import records
from schemas.records import Fact, TranscriptRecord
from schemas.values import Segment

JOB = Statement(name="put_job", key=("job_id",))
COMPLETION = Statement(name="put_completion", key=("job_id",))
SEGMENT = Statement(name="put_segment", key=("job_id", "segment_id"))
SPEAKER = Statement(name="put_speaker", key=("job_id", "speaker_id"))
NAME = Statement(name="put_speaker_name", key=("job_id", "speaker_id"))
MERGE = Statement(name="put_speaker_merge", key=("job_id", "speaker_id"))
ERASURE = Statement(name="put_erasure", key=("job_id",))
ERASE = Statement(name="erase", key=("job_id",))
STATEMENTS = (JOB, COMPLETION, SEGMENT, SPEAKER, NAME, MERGE, ERASURE, ERASE)

_SEGMENT_ID = re.compile(r"s(\d{1,9})-(\d{1,6})")
_ORDINALS_PER_FACT = 1_000_000


def project(fact: TranscriptRecord) -> tuple[Write, ...]:
    """The rows of one fact."""
    match fact:
        case records.JobAccepted(occurred_at=created_at, file_name=file_name):
            return (_write(JOB, fact, created_at=created_at, file_name=file_name),)
        case records.SegmentsPublished(segments=segments):
            return tuple(_segment(fact, segment) for segment in segments)
        case records.SegmentsRevised():
            return _revised(fact)
        case records.TranscriptCompleted():
            return _completed(fact)
        case records.SpeakerNamed(speaker_id=speaker_id, name=name):
            return (_write(NAME, fact, speaker_id=speaker_id, name=name),)
        case records.SpeakersMerged(speaker_id=gone, into_speaker_id=into):
            return (_write(MERGE, fact, speaker_id=gone, into_speaker_id=into),)
        case records.JobErased():
            return (_write(ERASURE, fact), _write(ERASE, fact))
        case (
            records.AudioReady()
            | records.ChunkCompleted()
            | records.RequestRefused()
            | records.JobRetried()
            | records.JobFailed()
            | records.JobCancelled()
            | records.FeedbackGiven()
        ):
            return ()
        case _:
            assert_never(fact)


def segment_ordinal(segment_id: str) -> int:
    """Place of a segment among those that start in the same millisecond: the order in which they were made."""
    found = _SEGMENT_ID.fullmatch(segment_id)
    return int(found[1]) * _ORDINALS_PER_FACT + int(found[2]) if found else 0


def _write(statement: Statement, fact: Fact, **columns: Any) -> Write:
    return Write(statement=statement, row=stamp(fact) | columns)


def _segment(fact: Fact, segment: Segment) -> Write:
    return _write(
        SEGMENT,
        fact,
        segment_id=segment.segment_id,
        removed=False,
        start_ms=segment.start_ms,
        end_ms=segment.end_ms,
        ordinal=segment_ordinal(segment.segment_id),
        speaker_id=segment.speaker_id,
        language=segment.language,
        text=segment.text,
        confidence=segment.confidence,
        flags=segment.flags,
        words=segment.words,
        word_count=len(segment.words),
    )


def _revised(fact: records.SegmentsRevised) -> tuple[Write, ...]:
    kept = {segment.segment_id for segment in fact.segments}
    gone = (segment_id for segment_id in fact.removed if segment_id not in kept)
    return (
        *(_removed(fact, segment_id) for segment_id in gone),
        *(_segment(fact, segment) for segment in fact.segments),
    )


def _removed(fact: Fact, segment_id: str) -> Write:
    nothing = Segment(segment_id=segment_id, start_ms=0, end_ms=0, text="")
    write = _segment(fact, nothing)
    return Write(statement=SEGMENT, row={**write.row, "removed": True})


def _completed(fact: records.TranscriptCompleted) -> tuple[Write, ...]:
    completion = _write(
        COMPLETION,
        fact,
        duration_ms=fact.duration_ms,
        language=fact.language,
        gaps=fact.gaps,
    )
    speakers = (
        _write(
            SPEAKER,
            fact,
            speaker_id=speaker.speaker_id,
            label=speaker.label,
            speech_ms=speaker.speech_ms,
        )
        for speaker in fact.speakers
    )
    return (completion, *speakers)

"""The view `search`: which segments must be indexed again.

In: one fact. Out: marks. A segment is marked by name where the fact carries it, by speaker or by job where the fact
changes what documents of existing segments say. Documents are built from the view `transcripts` after the commit.
Knows no other fact, no document, no database and no clock.
"""

from typing import assert_never

from projections.writes import Statement, Write, stamp
from schemas import records
from schemas.records import Fact, TranscriptRecord

SEGMENT = Statement(name="mark_segments", key=("job_id", "segment_id"))
SPEAKER = Statement(name="mark_speakers", key=("job_id", "speaker_id"))
JOB = Statement(name="mark_jobs", key=("job_id",))
STATEMENTS = (SEGMENT, SPEAKER, JOB)


def project(fact: TranscriptRecord) -> tuple[Write, ...]:
    """The marks of one fact: every fact that writes a row documents are built from marks those documents."""
    match fact:
        case records.SegmentsPublished(segments=segments):
            return tuple(_segment(fact, segment.segment_id) for segment in segments)
        case records.SegmentsRevised(removed=removed, segments=segments):
            touched = (*removed, *(segment.segment_id for segment in segments))
            return tuple(_segment(fact, segment_id) for segment_id in touched)
        case records.TranscriptCompleted(speakers=speakers):
            return tuple(_speaker(fact, speaker.speaker_id) for speaker in speakers)
        case records.SpeakerNamed() | records.SpeakersMerged():
            return (_speaker(fact, fact.speaker_id),)
        case records.JobAccepted() | records.JobErased():
            return (Write(statement=JOB, row=stamp(fact)),)
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


def _segment(fact: Fact, segment_id: str) -> Write:
    return Write(statement=SEGMENT, row=stamp(fact) | {"segment_id": segment_id})


def _speaker(fact: Fact, speaker_id: str) -> Write:
    return Write(statement=SPEAKER, row=stamp(fact) | {"speaker_id": speaker_id})

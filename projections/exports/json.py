"""JSON: everything a transcript holds, in the shapes of the HTTP API. Times are seconds.

In: a transcript, or a part of one. Out: a document, or the shape of the part. Every key is always there.
"""

from typing import Any

import msgspec

from projections.exports.clock import in_seconds
from projections.transcripts.views import SegmentView, SpeakerView, TranscriptView
from schemas.values import Word

INDENT = 2


def render(transcript: TranscriptView) -> str:
    """The file."""
    document = {
        "id": transcript.job_id,
        "language": transcript.language,
        "duration": in_seconds(transcript.duration_ms),
        "text": transcript.text,
        "speakers": [speaker_json(speaker) for speaker in transcript.speakers],
        "segments": [segment_json(segment) for segment in transcript.segments],
        "gaps": [
            {"start": in_seconds(gap.start_ms), "end": in_seconds(gap.end_ms), "code": gap.code}
            for gap in transcript.gaps
        ],
        "version": transcript.version,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=INDENT).decode() + "\n"


def segment_json(segment: SegmentView) -> dict[str, Any]:
    """The shape of a segment."""
    return {
        "id": segment.segment_id,
        "revision": segment.revision,
        "start": in_seconds(segment.start_ms),
        "end": in_seconds(segment.end_ms),
        "text": segment.text,
        "speaker_id": segment.speaker_id,
        "speaker": segment.speaker,
        "language": segment.language,
        "confidence": segment.confidence,
        "words": [_word(index, word) for index, word in enumerate(segment.words)],
        "flags": list(segment.flags),
    }


def speaker_json(speaker: SpeakerView) -> dict[str, Any]:
    """The shape of a speaker."""
    return {
        "id": speaker.speaker_id,
        "label": speaker.label,
        "name": speaker.name,
        "speech_seconds": in_seconds(speaker.speech_ms),
    }


def _word(index: int, word: Word) -> dict[str, Any]:
    return {
        "index": index,
        "text": word.text,
        "start": in_seconds(word.start_ms),
        "end": in_seconds(word.end_ms),
        "confidence": word.confidence,
        "speaker_id": word.speaker_id,
        "timing": word.timing,
    }

"""Requests about a transcript's text and speakers.

In: records of `corrections`. Out: SegmentsRevised, SpeakerNamed, SpeakersMerged, or RequestRefused.
Optimistic concurrency: a correction names the revision of every segment it starts from.
"""

from dataclasses import replace

from schemas import records
from schemas.values import RequestKind, Segment
from streams.assembler.completion import SEGMENTS_BYTES, SEGMENTS_PER_RECORD, size_bytes
from streams.assembler.corrections import revise
from streams.assembler.decision import Decision, requested
from streams.assembler.requests import refused
from streams.assembler.state import Change, State

NAME_CHARS = 200
# Aligning new words with old ones takes time that grows with the square of their number.
CORRECTED_CHARS = 20_000
Why = tuple[str, str]


def correct(state: State, event: records.CorrectionSubmitted) -> list[Change]:
    """Replaces a run of segments when they are what their author saw."""
    if why := _stale(state, event) or _malformed(state, event):
        return refused(state, event, RequestKind.CORRECTION, why)
    replacement = tuple(
        replace(item, speaker_id=resolved(state, item.speaker_id)) if item.speaker_id else item
        for item in event.replacement
    )
    segments = revise(tuple(base.segment for base in event.base), replacement)
    if sum(map(size_bytes, segments)) > SEGMENTS_BYTES:
        return refused(state, event, RequestKind.CORRECTION, ("too_large", "The corrected text is too long."))
    decision = Decision(state, requested(event))
    named: tuple[Segment, ...]
    removed: tuple[str, ...]
    old = tuple(base.segment_id for base in event.base)
    if len(old) == len(segments) == 1:
        named, removed = (replace(segments[0], segment_id=old[0]),), ()
    else:
        seq = state.seq + 1
        named = tuple(replace(segment, segment_id=f"s{seq}-{n}") for n, segment in enumerate(segments, 1))
        removed = old
    head = decision.head(records.SegmentsRevised)
    decision.add(records.SegmentsRevised(**head, removed=removed, segments=named, note=event.note))
    return decision.changes


def _stale(state: State, event: records.CorrectionSubmitted) -> Why | None:
    for base in event.base:
        mark = state.segments.get(base.segment_id)
        if mark is None or base.segment.segment_id != base.segment_id:
            return "unknown_segment", f"There is no segment {base.segment_id}; it may have been replaced."
        if mark.revision != base.revision:
            return "stale_revision", f"Segment {base.segment_id} was changed meanwhile; look at it again."
    return None


def _malformed(state: State, event: records.CorrectionSubmitted) -> Why | None:
    names = [base.segment_id for base in event.base]
    if not names:
        return "empty_base", "A correction starts from at least one segment."
    if len(set(names)) < len(names) or not _neighbours(state, names):
        return "not_neighbours", "The segments of a correction must stand side by side, in order, each once."
    if max(len(names), len(event.replacement)) > SEGMENTS_PER_RECORD:
        return "too_large", f"A correction covers at most {SEGMENTS_PER_RECORD} segments."
    if any(not item.text.strip() for item in event.replacement):
        return "empty_text", "A segment cannot be empty; leave it out of the replacement to remove it."
    if sum(len(item.text) for item in event.replacement) > CORRECTED_CHARS:
        return "too_large", f"A correction holds at most {CORRECTED_CHARS:,} characters."
    strangers = {item.speaker_id for item in event.replacement if item.speaker_id} - _speaker_ids(state)
    if strangers:
        return "unknown_speaker", f"There is no speaker {min(strangers)}."
    return None


def _neighbours(state: State, names: list[str]) -> bool:
    starts = [state.segments[name].start_ms for name in names]
    between = (
        name for name, mark in state.segments.items() if starts[0] < mark.start_ms < starts[-1] and name not in names
    )
    return starts == sorted(starts) and next(between, None) is None


def _speaker_ids(state: State) -> set[str]:
    return {speaker.speaker_id for speaker in state.speakers}


def resolved(state: State, speaker_id: str) -> str:
    """The speaker somebody became by merges."""
    while speaker_id in state.merged:
        speaker_id = state.merged[speaker_id]
    return speaker_id


def name_speaker(state: State, event: records.SpeakerNameSubmitted) -> list[Change]:
    """Gives a speaker a name, or takes it away."""
    name = event.name.strip() if event.name else None
    if why := _not_there(state, event.speaker_id):
        return refused(state, event, RequestKind.SPEAKER_NAME, why)
    if name is not None and len(name) > NAME_CHARS:
        why = ("invalid_name", f"A name has at most {NAME_CHARS} characters.")
        return refused(state, event, RequestKind.SPEAKER_NAME, why)
    decision = Decision(state, requested(event))
    head = decision.head(records.SpeakerNamed)
    decision.add(records.SpeakerNamed(**head, speaker_id=event.speaker_id, name=name or None))
    return decision.changes


def merge_speakers(state: State, event: records.SpeakerMergeSubmitted) -> list[Change]:
    """Two speakers are one; ids of speakers that went away are never used again."""
    why = _not_there(state, event.speaker_id) or _not_there(state, event.into_speaker_id)
    if why is None and event.speaker_id == event.into_speaker_id:
        why = ("same_speaker", "A speaker cannot be merged into itself.")
    if why:
        return refused(state, event, RequestKind.SPEAKER_MERGE, why)
    decision = Decision(state, requested(event))
    head = decision.head(records.SpeakersMerged)
    decision.add(records.SpeakersMerged(**head, speaker_id=event.speaker_id, into_speaker_id=event.into_speaker_id))
    return decision.changes


def _not_there(state: State, speaker_id: str) -> Why | None:
    if speaker_id not in _speaker_ids(state):
        return "unknown_speaker", f"There is no speaker {speaker_id}."
    if speaker_id in state.merged:
        return "speaker_merged", f"Speaker {speaker_id} was merged into {resolved(state, speaker_id)}."
    return None

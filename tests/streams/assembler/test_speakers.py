"""Clustering over a whole recording, on synthetic evidence whose truth is known."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pyannote.core import Annotation
from pyannote.core import Segment as Span
from pyannote.metrics.diarization import DiarizationErrorRate
from scipy.cluster.hierarchy import linkage

from streams.assembler import speakers
from streams.assembler.speakers import ChunkEvidence, SpeakerBounds, speaker_turns
from streams.assembler.turns import Turn
from tests.streams.assembler.given import CHUNK_MS, MARGIN_MS, evidence

Spans = Sequence[tuple[int, int, int]]


def conversation(people: int, minutes: int, seed: int = 3) -> list[tuple[int, int, int]]:
    """Turns of one to eight seconds, with pauses and now and then some overlap."""
    random = np.random.default_rng(seed)
    spans: list[tuple[int, int, int]] = []
    at, before = 0, -1
    while at < minutes * 60_000:
        who = int(random.choice([n for n in range(people) if n != before] or [0]))
        length = int(random.integers(1_000, 8_000))
        spans.append((at, at + length, who))
        at += length + int(random.integers(-400, 1_200))
        before = who
    return spans


def chunked(spans: Spans, total_ms: int, chunk_ms: int = CHUNK_MS) -> list[ChunkEvidence]:
    found = []
    for start in range(0, total_ms, chunk_ms):
        end = min(total_ms, start + chunk_ms)
        near = [span for span in spans if span[0] < end + MARGIN_MS and span[1] > start - MARGIN_MS]
        seen = evidence(near, max(0, start - MARGIN_MS), min(total_ms, end + MARGIN_MS), seed=start)
        found.append(ChunkEvidence(start_ms=start, end_ms=end, evidence=seen))
    return found


def der(spans: Spans, turns: Sequence[Turn]) -> float:
    truth, heard = Annotation(), Annotation()
    for n, (start, end, who) in enumerate(spans):
        truth[Span(start / 1000, end / 1000), n] = f"speaker {who}"
    for n, turn in enumerate(turns):
        heard[Span(turn.start_ms / 1000, turn.end_ms / 1000), n] = turn.speaker
    rate = DiarizationErrorRate()(truth, heard, uem=None)
    assert isinstance(rate, float)
    return rate


@pytest.mark.filterwarnings("ignore:'uem' was approximated")
@pytest.mark.parametrize(("people", "minutes"), [(1, 2), (2, 3), (4, 10)])
def test_a_conversation_is_heard_as_it_was(people: int, minutes: int) -> None:
    spans = [span for span in conversation(people, minutes) if span[1] <= minutes * 60_000]
    turns = speaker_turns(chunked(spans, minutes * 60_000), SpeakerBounds())
    assert len({turn.speaker for turn in turns}) == people
    assert der(spans, turns) < 0.06


def test_a_turn_over_a_chunk_s_border_stays_one() -> None:
    turns = speaker_turns(chunked([(20_000, 40_000, 0)], 60_000), SpeakerBounds())
    [turn] = turns
    assert turn.start_ms == pytest.approx(20_000, abs=40)
    assert turn.end_ms == pytest.approx(40_000, abs=40)


def test_margins_do_not_count() -> None:
    chunk = chunked([(0, 60_000, 0)], 60_000)[0]
    [turn] = speaker_turns([chunk], SpeakerBounds())
    assert turn.end_ms == chunk.end_ms


@pytest.mark.parametrize(
    ("bounds", "heard"),
    [
        (SpeakerBounds.of(2, None, None), 2),
        (SpeakerBounds.of(None, None, 1), 1),
        (SpeakerBounds.of(None, 2, None), 3),
        (SpeakerBounds.of(None, None, 2), 2),
        (SpeakerBounds.of(None, None, 9), 3),
    ],
)
def test_the_number_asked_for_is_honoured(bounds: SpeakerBounds, heard: int) -> None:
    turns = speaker_turns(chunked(conversation(3, 4), 240_000), bounds)
    assert len({turn.speaker for turn in turns}) == heard


def test_local_speakers_of_one_window_are_different_people() -> None:
    spans = [(0, 9_000, 0), (4_000, 9_500, 1)]
    turns = speaker_turns(chunked([*spans, (12_000, 20_000, 0), (21_000, 29_000, 1)], 30_000), SpeakerBounds())
    assert {turn.speaker for turn in turns if turn.start_ms < 8_000 < turn.end_ms} == {"0", "1"}


def test_silence_has_no_speakers() -> None:
    assert speaker_turns(chunked([], 60_000), SpeakerBounds()) == []
    assert speaker_turns([], SpeakerBounds()) == []


def test_speech_too_short_for_an_embedding_is_somebody() -> None:
    turns = speaker_turns(chunked([(1_000, 1_200, 0)], 10_000), SpeakerBounds())
    assert len({turn.speaker for turn in turns}) == 1


def test_evidence_of_another_model_is_left_out() -> None:
    chunks = chunked(conversation(2, 2), 120_000)
    odd = replace(chunks[1], evidence=replace(chunks[1].evidence, embedding_model="other"))
    turns = speaker_turns([chunks[0], odd, *chunks[2:]], SpeakerBounds())
    assert not any(odd.start_ms < turn.start_ms < odd.end_ms for turn in turns)


def points(*heard: int, noise: float = 0.3) -> NDArray[np.float32]:
    """Embeddings of people, each heard so often, mixed."""
    random = np.random.default_rng(5)
    voices = random.normal(size=(len(heard), 192))
    who = random.permutation(np.repeat(np.arange(len(heard)), heard))
    found = voices[who] / np.linalg.norm(voices[who], axis=1, keepdims=True)
    found += noise * random.normal(size=found.shape) / np.sqrt(192)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_who_says_little_in_hours_of_others_is_somebody() -> None:
    found = speakers._cluster(points(1_200, 900, 600, 17, 4), SpeakerBounds())
    assert len(np.unique(found)) == 4


def test_clusters_after_each_merge_are_counted_without_making_them() -> None:
    tree = linkage(points(30, 12, 5, 3, noise=1.2), method="centroid")
    order = speakers._by_merge(tree)
    for smallest in (1, 2, 4):
        made = [len(speakers._large(speakers._cut(order, step), smallest)) for step in range(len(tree))]
        assert speakers._large_after(tree, smallest).tolist() == made


@pytest.mark.parametrize("asked", [2, 7])
def test_a_number_asked_for_costs_no_more_than_the_clustering_itself(asked: int) -> None:
    """A cut tried at every height would take a hundred times as long."""
    heard = points(600, 500, 400, 300, 200)
    free_s = _processor_s(lambda: speakers._cluster(heard, SpeakerBounds()))
    asked_s = _processor_s(lambda: speakers._cluster(heard, SpeakerBounds.of(asked, None, None)))
    assert asked_s < 4 * free_s + 0.5


def _processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.slow
def test_hours_are_clustered_from_a_sample() -> None:
    minutes = 100
    spans = [span for span in conversation(4, minutes) if span[1] <= minutes * 60_000]
    turns = speaker_turns(chunked(spans, minutes * 60_000), SpeakerBounds())
    assert len({turn.speaker for turn in turns}) == 4


def test_the_same_evidence_gives_the_same_turns() -> None:
    chunks = chunked(conversation(3, 2), 120_000)
    assert speaker_turns(chunks, SpeakerBounds()) == speaker_turns(list(reversed(chunks)), SpeakerBounds())

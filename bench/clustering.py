"""What telling the speakers of a whole recording apart costs, by its length.

In: lengths, and how many people talk. Out: figures. The evidence is made up: turns of one to eight seconds with some
overlap, voices as unit vectors with noise, some people heard far more than others. Each length runs in a process of its
own, so that the peak of its memory is its own. `python -m bench.clustering` prints the figures alone.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.report import Figure, table
from schemas.evidence import SpeakerEvidence
from streams.assembler.speakers import ChunkEvidence, SpeakerBounds, speaker_turns

LENGTHS_MIN = (10, 60, 240)
PEOPLE = (8, 30)
AIM_S = 10.0
MS_PER_MIN = 60_000
CHUNK_MS, MARGIN_MS, WINDOW_MS, STEP_MS = 30_000, 5_000, 10_000, 2_000
FRAMES, LOCAL_SPEAKERS, VALUES = 589, 3, 192
NOISE = 0.5
CLEAN_MIN_S = 0.3
_KIB_PER_MB = 1_000_000 / 1024

Spans = list[tuple[int, int, int]]


def measure(lengths_min: Sequence[int] = LENGTHS_MIN) -> list[Figure]:
    """Processor time, memory beyond the evidence, and how many were told apart."""
    return [figure for people in PEOPLE for minutes in lengths_min for figure in _figures(minutes, people)]


def _figures(minutes: int, people: int) -> Iterator[Figure]:
    command = (sys.executable, "-m", "bench.clustering", str(minutes), str(people))
    spent = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    group = f"clustering: {minutes} minutes, {people} people"
    yield Figure(group=group, name="processor time", value=spent["processor_s"], unit="s", aim=AIM_S, at_least=False)
    yield Figure(group=group, name="processor time an hour", value=spent["processor_s"] * 60 / minutes, unit="s")
    yield Figure(group=group, name="memory beyond the evidence, at most", value=spent["memory_mb"], unit="MB")
    yield Figure(group=group, name="told apart", value=spent["people"], unit="people")
    yield Figure(group=group, name="speech of the wrong person", value=100 * spent["wrong"], unit="%")


def spent_on(minutes: int, people: int) -> dict[str, float]:
    """In this process."""
    spans = conversation(minutes, people)
    chunks = list(evidence(spans, minutes, people))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    turns = speaker_turns(chunks, SpeakerBounds())
    processor_s = time.process_time() - began
    memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    found = [(turn.start_ms, turn.end_ms, int(turn.speaker)) for turn in turns]
    return {
        "processor_s": processor_s,
        "memory_mb": memory_kib / _KIB_PER_MB,
        "people": len({turn.speaker for turn in turns}),
        "wrong": wrong_share(spans, found),
    }


def conversation(minutes: int, people: int) -> Spans:
    """Turns (start, end, who); the n-th person talks an n-th as much as the first."""
    random = np.random.default_rng(3)
    weights = 1 / np.arange(1, people + 1)
    spans: Spans = []
    at, before = 0, -1
    while at < minutes * MS_PER_MIN:
        who = int(random.choice(people, p=weights / weights.sum()))
        if who == before:
            continue
        length = int(random.integers(1_000, 8_000))
        spans.append((at, min(at + length, minutes * MS_PER_MIN), who))
        at, before = at + length + int(random.integers(-400, 1_200)), who
    return spans


def evidence(spans: Spans, minutes: int, people: int) -> Iterator[ChunkEvidence]:
    """What a diarizer would find, chunk by chunk."""
    random = np.random.default_rng(1)
    voices = random.normal(size=(people, VALUES))
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    total, first = minutes * MS_PER_MIN, 0
    for start in range(0, total, CHUNK_MS):
        begin, end = max(0, start - MARGIN_MS), min(total, start + CHUNK_MS + MARGIN_MS)
        while spans[first][1] < begin:
            first += 1
        near = [span for span in spans[first : first + 100] if span[0] < end]
        found = _windows(near, np.arange(begin, max(begin + 1, end - WINDOW_MS + 1), STEP_MS), voices, random)
        yield ChunkEvidence(start_ms=start, end_ms=min(total, start + CHUNK_MS), evidence=found)


def _windows(
    spans: Spans, starts: NDArray[np.int64], voices: NDArray[np.float64], random: np.random.Generator
) -> SpeakerEvidence:
    activity = np.zeros((len(starts), FRAMES, LOCAL_SPEAKERS), np.bool_)
    embeddings = np.full((len(starts), LOCAL_SPEAKERS, VALUES), np.nan, np.float32)
    for n, start in enumerate(starts):
        near = [span for span in spans if span[0] < start + WINDOW_MS and span[1] > start]
        here = sorted({who for _, _, who in near})[:LOCAL_SPEAKERS]
        for local, who in enumerate(here):
            for begin, end, speaker in near:
                if speaker == who:
                    frames = [max(0, round((at - start) * FRAMES / WINDOW_MS)) for at in (begin, end)]
                    activity[n, slice(*frames), local] = True
            noise = random.normal(size=VALUES)
            embeddings[n, local] = voices[who] + NOISE * noise / np.linalg.norm(noise)
    alone = activity & (activity.sum(axis=2, keepdims=True) == 1)
    clean_s = (alone.sum(axis=1) * WINDOW_MS / FRAMES / 1000).astype(np.float32)
    embeddings[clean_s < CLEAN_MIN_S] = np.nan
    return SpeakerEvidence(
        window_start_ms=starts.astype(np.int64),
        window_ms=WINDOW_MS,
        activity=activity,
        embeddings=embeddings,
        clean_s=clean_s,
        embedding_model="made up",
        segmentation_model="made up",
    )


def wrong_share(spans: Spans, found: Spans) -> float:
    """The share of the speech that is not given to the speaker who has most of its person's."""
    cells = max(end for _, end, _ in spans) // 100 + 1
    truth, heard = np.full(cells, -1), np.full(cells, -1)
    for line, turns in ((truth, spans), (heard, found)):
        for start, end, who in turns:
            line[start // 100 : end // 100] = who
    shared = np.zeros((truth.max() + 1, heard.max() + 1))
    both = (truth >= 0) & (heard >= 0)
    np.add.at(shared, (truth[both], heard[both]), 1)
    return float(1 - shared.max(axis=1).sum() / (truth >= 0).sum())


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(spent_on(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        print(table(measure()))

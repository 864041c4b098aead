"""Who speaks when in the whole recording, from the local evidence of its chunks: one global clustering.

In: evidence of each chunk with its core, and how many speakers were asked for. Out: turns of numbered speakers.
Knows no model. Method (that of pyannote's pipeline, over chunks): drop embeddings with little clean speech; centroid
agglomerative clustering of unit vectors; members of small clusters go to the nearest large one; local speakers of one
window are assigned to different clusters (Hungarian); each chunk's windows are averaged, and its own core is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from schemas.evidence import SpeakerEvidence
from streams.assembler.turns import Turn

CLEAN_SHARE = 0.1  # of a window, that a local speaker must be heard alone in to be clustered
THRESHOLD = 0.74  # distance of unit vectors at which two clusters are two people
MIN_CLUSTER_SHARE = 0.01
MIN_CLUSTER = 2
MOST_MIN_CLUSTER = 15  # so often heard, one is a person however long the others talk
MAX_CLUSTERED = 3_000  # linkage takes time and memory by the square; the rest is only assigned
NOBODY = -1

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkEvidence:
    """Evidence of one chunk; only its core counts, the margins only help to see it."""

    start_ms: int
    end_ms: int
    evidence: SpeakerEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerBounds:
    """How many speakers there may be; `most` None is without limit."""

    least: int = 1
    most: int | None = None

    @classmethod
    def of(cls, number: int | None, least: int | None, most: int | None) -> "SpeakerBounds":
        """From what a client asked for: an exact number has the last word."""
        low = max(1, number or least or 1)
        high = number or most
        return cls(least=low, most=max(low, high) if high else None)


def speaker_turns(chunks: Sequence[ChunkEvidence], bounds: SpeakerBounds) -> list[Turn]:
    """Turns in order, speakers numbered from "0"; evidence of another shape than most is left out."""
    alike = _alike([chunk for chunk in chunks if len(chunk.evidence.window_start_ms)])
    if not alike:
        return []
    labels = _labels(alike, bounds)
    runs: dict[int, list[tuple[int, int]]] = {}
    first = 0
    for chunk in sorted(alike, key=lambda item: item.start_ms):
        count = len(chunk.evidence.window_start_ms)
        _add_runs(runs, chunk, labels[first : first + count])
        first += count
    turns = [
        Turn(start_ms=start, end_ms=end, speaker=str(speaker))
        for speaker, spans in runs.items()
        for start, end in spans
    ]
    return sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.speaker))


def _alike(chunks: list[ChunkEvidence]) -> list[ChunkEvidence]:
    """Chunks whose evidence can be clustered together: same models, same number of speakers and values."""

    def kind(chunk: ChunkEvidence) -> tuple[str, str, int, int]:
        found = chunk.evidence
        return found.embedding_model, found.segmentation_model, found.activity.shape[2], found.embeddings.shape[2]

    kinds = [kind(chunk) for chunk in chunks]
    most = max(kinds, key=kinds.count, default=None)
    return [chunk for chunk, its in zip(chunks, kinds, strict=True) if its == most]


def _labels(chunks: list[ChunkEvidence], bounds: SpeakerBounds) -> Ints:
    """Cluster of each local speaker of each window (windows in order of the chunks' starts), NOBODY when silent."""
    ordered = sorted(chunks, key=lambda item: item.start_ms)
    embeddings = np.concatenate([chunk.evidence.embeddings for chunk in ordered])
    active = np.concatenate([chunk.evidence.activity.any(axis=1) for chunk in ordered])
    clean = np.concatenate([chunk.evidence.clean_s * 1000 / chunk.evidence.window_ms for chunk in ordered])
    known = ~np.isnan(embeddings).any(axis=2) & active
    norms = np.linalg.norm(embeddings, axis=2, keepdims=True)
    units = np.divide(embeddings, norms, out=np.zeros_like(embeddings), where=known[..., None] & (norms > 0))
    chosen = known & (clean >= CLEAN_SHARE)
    if not chosen.any():
        chosen = known
    if not chosen.any():
        return np.where(active, 0, NOBODY)
    centroids = _centroids(units[chosen], bounds)
    return _assign(units, known, active, centroids)


def _centroids(points: Floats, bounds: SpeakerBounds) -> Floats:
    """Centres of the speakers' clusters."""
    if len(points) > MAX_CLUSTERED:
        points = points[np.linspace(0, len(points) - 1, MAX_CLUSTERED).astype(int)]
    labels = _cluster(points, bounds)
    return np.stack([points[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def _cluster(points: Floats, bounds: SpeakerBounds) -> Ints:
    count = len(points)
    if count == 1 or bounds.most == 1:
        return np.zeros(count, dtype=np.int64)
    tree = linkage(points.astype(np.float64), method="centroid", metric="euclidean")
    smallest = _smallest(count)
    labels = _cut(tree, THRESHOLD)
    found = len(_large(labels, smallest))
    wanted = min(count, max(bounds.least, found if bounds.most is None else min(found, bounds.most)))
    if found != wanted:
        labels = _cut_for(tree, wanted, smallest)
        if len(_large(labels, smallest)) < wanted:  # who was asked for may have said very little
            smallest, labels = 1, _cut(_by_merge(tree), count - wanted - 1)
    return _reassigned(points, labels, smallest, bounds.most)


def _smallest(count: int) -> int:
    """How many of the points make a speaker of their own."""
    share = min(MOST_MIN_CLUSTER, round(MIN_CLUSTER_SHARE * count))
    return min(max(MIN_CLUSTER, share), max(1, round(0.1 * count)))


def _cut(tree: NDArray[np.float64], height: float) -> Ints:
    labels: Ints = np.asarray(fcluster(_monotonic(tree), height, criterion="distance"), dtype=np.int64) - 1
    return labels


def _monotonic(tree: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centroid linkage may merge lower than before; a cluster counts as merged when its highest part is."""
    level = tree.copy()
    count = len(tree) + 1
    for row in level:
        for child in row[:2].astype(int):
            if child >= count:
                row[2] = max(row[2], level[child - count, 2])
    return level


def _cut_for(tree: NDArray[np.float64], wanted: int, smallest: int) -> Ints:
    """The cut nearest to the threshold that gives the wanted number of large clusters, or the nearest number."""
    off = np.abs(_large_after(tree, smallest) - wanted)
    makes_large = tree[:, 3] >= smallest  # other merges lead to the same large clusters
    if makes_large.any():
        off[~makes_large] = len(tree) + wanted
    nearest = np.flatnonzero(off == off.min())
    step = nearest[np.argmin(np.abs(tree[nearest, 2] - THRESHOLD))]
    return _cut(_by_merge(tree), float(step))


def _large_after(tree: NDArray[np.float64], smallest: int) -> Ints:
    """How many large clusters there are after each merge."""
    count = len(tree) + 1
    sizes = np.concatenate([np.ones(count), tree[:, 3]])
    large = (sizes >= smallest).astype(np.int64)
    merged = tree[:, :2].astype(int)
    gained: Ints = count * large[0] + np.cumsum(large[count:] - large[merged].sum(axis=1))
    return gained


def _by_merge(tree: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tree with the number of each merge for its height: cut at n, the first n + 1 merges are made."""
    order = tree.copy()
    order[:, 2] = np.arange(len(tree))
    return order


def _large(labels: Ints, smallest: int) -> Ints:
    names, sizes = np.unique(labels, return_counts=True)
    large: Ints = names[sizes >= smallest]
    return large


def _reassigned(points: Floats, labels: Ints, smallest: int, most: int | None) -> Ints:
    """Members of small clusters go to the nearest large one; labels count from 0."""
    large = _large(labels, smallest)
    if len(large) == 0:
        return np.zeros(len(labels), dtype=np.int64)
    names, sizes = np.unique(labels, return_counts=True)
    if most is not None and len(large) > most:
        large = names[np.argsort(-sizes)][:most]
    centres = np.stack([points[labels == label].mean(axis=0) for label in large])
    result: Ints = np.argmax(_cosine(points, centres), axis=1)
    for place, label in enumerate(large):
        result[labels == label] = place
    return result


def _cosine(points: Floats, centres: Floats) -> Floats:
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    similarity: Floats = points @ (centres / np.maximum(lengths, 1e-9)).T
    return similarity


def _assign(units: Floats, known: NDArray[np.bool_], active: NDArray[np.bool_], centroids: Floats) -> Ints:
    """Inside a window two local speakers are never one person; more of them than clusters leaves the weakest out."""
    windows, locals_, size = units.shape
    likeness = _cosine(units.reshape(-1, size), centroids).reshape(windows, locals_, len(centroids))
    likeness[~known] = likeness.min()
    result = np.full((windows, locals_), NOBODY, dtype=np.int64)
    for window in range(windows):
        here = np.flatnonzero(active[window])
        if len(here):
            rows, columns = linear_sum_assignment(likeness[window][here], maximize=True)
            result[window, here[rows]] = columns
    return result


def _add_runs(runs: dict[int, list[tuple[int, int]]], chunk: ChunkEvidence, labels: Ints) -> None:
    """The turns of a chunk's core, joined to those of the chunk before where they touch."""
    grid = _Grid(chunk.evidence)
    speakers = np.unique(labels[labels != NOBODY])
    if not len(speakers):
        return
    on = grid.speaking(labels, speakers)
    for column, speaker in enumerate(speakers):
        spans = runs.setdefault(int(speaker), [])
        for start, end in grid.spans(on[:, column]):
            start, end = max(start, chunk.start_ms), min(end, chunk.end_ms)
            if end <= start:
                continue
            if spans and start - spans[-1][1] <= grid.step_ms:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))


class _Grid:
    """Frames of all windows of a chunk on one clock."""

    def __init__(self, evidence: SpeakerEvidence) -> None:
        self._evidence = evidence
        self._frames = evidence.activity.shape[1]
        self.step_ms = evidence.window_ms / self._frames
        self._origin_ms = float(evidence.window_start_ms.min())
        self._first = np.rint((evidence.window_start_ms - self._origin_ms) / self.step_ms).astype(int)
        self._length = int(self._first.max()) + self._frames

    def speaking(self, labels: Ints, speakers: Ints) -> NDArray[np.bool_]:
        """Frames by speakers: as many speak in a frame as its windows see on average, the likeliest ones."""
        votes = np.zeros((self._length, len(speakers)), dtype=np.float32)
        heard = np.zeros(self._length, dtype=np.float32)
        seen = np.zeros(self._length, dtype=np.float32)
        for window, first in enumerate(self._first):
            place = slice(first, first + self._frames)
            activity = self._evidence.activity[window]
            seen[place] += 1
            heard[place] += activity.sum(axis=1)
            for local in np.flatnonzero(labels[window] != NOBODY):
                votes[place, np.searchsorted(speakers, labels[window, local])] += activity[:, local]
        count = np.minimum(np.rint(heard / np.maximum(seen, 1)), len(speakers)).astype(int)
        rank = np.argsort(np.argsort(-votes, axis=1, kind="stable"), axis=1, kind="stable")
        on: NDArray[np.bool_] = (rank < count[:, None]) & (votes > 0)
        return on

    def spans(self, on: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Runs of frames as times in the recording, ms."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
        times = np.rint(self._origin_ms + edges * self.step_ms).astype(int)
        return [(int(start), int(end)) for start, end in zip(times[::2], times[1::2], strict=True)]

"""Whole histories of jobs, as hypothesis draws them: plausible in their order, hostile in their content."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from schemas import records
from schemas.records import TranscriptRecord
from schemas.values import Segment
from tests.projections.facts import Job, gap, spoken

MAX_CHUNKS = 3
MAX_AFTERWARDS = 8
SPEAKERS = ("spk1", "spk2", "spk3")

# NUL cannot be stored in PostgreSQL, U+E000 marks hits: both must pass through the views unharmed.
TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["fox", "quick fox", "a\x00b", "\ue000x\ue001", "<b>--></b>", "東京都に行く", "naïve café", "\\u0000"]
)
SPEAKER = st.sampled_from(SPEAKERS)


@dataclass(slots=True)
class _Story:
    """A job in the making and the segments that stand in it."""

    job: Job
    draw: st.DrawFn
    standing: list[str]

    def segments(self, count: int) -> tuple[Segment, ...]:
        """New segments, named after the fact that is about to write them."""
        made = tuple(self._segment(f"s{self.job.next_seq}-{n + 1}") for n in range(count))
        self.standing += [each.segment_id for each in made]
        return made

    def _segment(self, segment_id: str) -> Segment:
        start_ms = self.draw(st.integers(0, 5)) * 1_000
        speaker_id = self.draw(st.none() | SPEAKER)
        text = self.draw(TEXT)
        return Segment(
            segment_id=segment_id,
            start_ms=start_ms,
            end_ms=start_ms + 1_000,
            speaker_id=speaker_id,
            language=self.draw(st.sampled_from([None, "en", "de"])),
            text=text,
            words=spoken(text, start_ms, start_ms + 1_000, speaker_id),
        )

    def publish_and_complete(self, round_: int, failed: list[int]) -> None:
        """What assembly writes at the end of a round."""
        if count := self.draw(st.sampled_from([2, 1, 3, 0])):
            self.job.published(self.segments(count), round_)
        self.job.completed(SPEAKERS[: self.draw(st.integers(0, 3))], round_, [gap(index) for index in failed])

    def revise(self) -> None:
        """A correction: some segments go, one is changed, perhaps one is new."""
        if not self.standing:
            return
        removed = self.draw(st.lists(st.sampled_from(self.standing), unique=True, max_size=2))
        self.standing = [each for each in self.standing if each not in removed]
        changed = tuple(self._segment(each) for each in self.standing[:1])
        new = self.segments(self.draw(st.integers(0, 1)))
        self.job.fact(records.SegmentsRevised, removed=tuple(removed), segments=changed + new, note=None)

    def name(self) -> None:
        """A speaker is named, or loses the name."""
        self.job.fact(records.SpeakerNamed, speaker_id=self.draw(SPEAKER), name=self.draw(st.none() | TEXT))

    def merge(self) -> None:
        """Two speakers are one; circles cannot come from the assembler but must do no harm."""
        gone, into = self.draw(st.permutations(SPEAKERS))[:2]
        self.job.fact(records.SpeakersMerged, speaker_id=gone, into_speaker_id=into)

    def feedback(self) -> None:
        """A person judged the transcript."""
        self.job.fact(records.FeedbackGiven, rating=self.draw(st.integers(1, 5)), comment=self.draw(TEXT))

    def retry(self) -> None:
        """Chunk 0 runs again."""
        number = sum(isinstance(fact, records.JobRetried) for fact in self.job.facts) + 1
        self.job.fact(records.JobRetried, round=number, chunks=(0,))
        if self.draw(st.booleans()):
            self.job.chunk(0, self.draw(TEXT), number)
            self.publish_and_complete(number, [])

    def fail(self) -> None:
        """The job ends without a transcript."""
        self.job.fact(
            records.JobFailed, code="engine_failed", stage="transcribing", retryable=True, message=self.draw(TEXT)
        )

    def cancel(self) -> None:
        """The job is stopped."""
        self.job.fact(records.JobCancelled, reason=self.draw(TEXT))


@st.composite
def histories(draw: st.DrawFn, number: int = 1, erased: bool = False) -> list[TranscriptRecord]:
    """The facts of one job, 1..n; an erased one may still refuse a request afterwards."""
    story = _Story(job=Job(number), draw=draw, standing=[])
    story.job.accepted(draw(st.none() | TEXT), vocabulary=(draw(TEXT),))
    if draw(st.integers(0, 4)) < 4:
        _transcribe(story)
    afterwards: list[Callable[[], None]] = [
        story.revise,
        story.revise,
        story.name,
        story.merge,
        story.retry,
        story.feedback,
        story.job.refused,
        story.cancel,
        story.fail,
    ]
    for step in draw(st.lists(st.sampled_from(afterwards), max_size=MAX_AFTERWARDS)):
        step()
    if erased:
        story.job.erased()
        if draw(st.booleans()):
            story.job.refused("erased")
    return story.job.facts


def _transcribe(story: _Story) -> None:
    chunks = story.draw(st.integers(1, MAX_CHUNKS))
    story.job.audio_ready(chunks)
    answered = story.draw(st.just(chunks) | st.integers(0, chunks))
    failed = [index for index in range(answered) if story.draw(st.booleans())]
    for index in range(answered):
        story.job.chunk(index, story.draw(TEXT), failed=index in failed)
    if answered == chunks:
        story.publish_and_complete(0, failed)


@st.composite
def shuffled(draw: st.DrawFn, facts: list[TranscriptRecord]) -> list[TranscriptRecord]:
    """The same facts in any order, some of them more than once."""
    repeats = draw(st.lists(st.sampled_from(facts), max_size=5))
    return draw(st.permutations(facts + repeats))

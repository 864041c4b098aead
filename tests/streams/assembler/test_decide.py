"""The life of a job, as tables: inputs in, kinds of facts out."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from schemas import records
from schemas.values import BaseSegment, ReplacementSegment, RequestKind, Segment, Speaker, Task, TranscriptionOptions
from streams.assembler.completion import SEGMENTS_PER_RECORD, AssemblyFinished, AssemblyGivenUp, packets, size_bytes
from streams.assembler.decide import Input, answer_poison, decide
from streams.assembler.job import fold
from streams.assembler.state import Change, ChunkSent, State, Status
from tests.streams.assembler.given import Inputs, passage

SPEAKERS = (
    Speaker(speaker_id="spk1", label="Speaker 1", speech_ms=10),
    Speaker(speaker_id="spk2", label="Speaker 2", speech_ms=5),
)


class Job:
    """A job driven by inputs; remembers its facts."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.changes: list[Change] = []

    def give(self, *inputs: Input) -> list[str]:
        """Kinds of the facts these inputs led to."""
        before = len(self.changes)
        for given in inputs:
            changes = decide(self.state, given)
            self.state = fold(changes, self.state)
            self.changes += changes
        return [type(change).__name__ for change in self.changes[before:] if isinstance(change, records.Fact)]

    @property
    def known(self) -> State:
        assert self.state is not None
        return self.state

    @property
    def facts(self) -> list[records.TranscriptRecord]:
        return [change for change in self.changes if isinstance(change, records.Fact)]

    def sent(self) -> list[records.ChunkCut]:
        return [change.work for change in self.changes if isinstance(change, ChunkSent)]


def segment(start_ms: int, text: str = "Hello there.", speaker_id: str | None = "spk1") -> Segment:
    spoken = passage(text, start_ms)
    return Segment(
        segment_id="",
        start_ms=start_ms,
        end_ms=spoken.end_ms,
        speaker_id=speaker_id,
        language="en",
        text=text,
        words=tuple(replace(word, speaker_id=speaker_id) for word in spoken.words),
    )


def assembled(job: Job, segments: Sequence[Segment] = ()) -> AssemblyFinished:
    order = job.known.assembly
    assert order is not None
    return AssemblyFinished(
        job_id=job.known.job_id,
        tenant_id=job.known.tenant_id,
        order=order,
        segments=tuple(segments),
        speakers=SPEAKERS,
        language="en",
        warnings=(),
    )


def gave_up(job: Job) -> AssemblyGivenUp:
    order = job.known.assembly
    assert order is not None
    return AssemblyGivenUp(job_id=job.known.job_id, tenant_id=job.known.tenant_id, order=order, message="It crashed.")


def answered(given: Inputs) -> list[Input]:
    return [item for index in range(given.chunks) for item in (given.transcribed(index), given.diarized(index))]


def completed(given: Inputs) -> Job:
    """A job with two segments."""
    job = Job()
    job.give(given.upload(), given.prepared(), *answered(given))
    job.give(assembled(job, [segment(1_000), segment(9_000, "I am fine, thanks.", "spk2")]))
    assert job.known.status is Status.COMPLETED
    return job


def gappy(given: Inputs) -> Job:
    """A job whose chunk 1 failed."""
    job = Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0), given.diarized(0))
    job.give(given.failed(1), given.diarized(1))
    job.give(assembled(job, [segment(1_000)]))
    return job


def test_the_way_of_a_job() -> None:
    given, job = Inputs(), Job()
    assert job.give(given.upload()) == ["JobAccepted"]
    assert job.give(given.prepared()) == ["AudioReady"]
    assert job.give(given.transcribed(0)) == []
    assert job.give(given.diarized(0)) == ["ChunkCompleted"]
    assert job.give(given.diarized(1)) == []
    last = given.transcribed(1)
    assert job.give(last) == ["ChunkCompleted"]
    assert job.known.status is Status.ASSEMBLING
    assert job.give(assembled(job, [segment(1_000)])) == ["SegmentsPublished", "TranscriptCompleted"]
    assert [fact.seq for fact in job.facts] == list(range(1, 7))
    assert job.facts[-1].occurred_at == last.occurred_at
    assert job.facts[3].cause_id == last.event_id
    assert job.known.segments["s5-1"].revision == 5


def test_results_that_come_before_the_plan_are_kept() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload(), *answered(given))
    assert job.give(given.prepared()) == ["AudioReady", "ChunkCompleted", "ChunkCompleted"]
    assert job.known.status is Status.ASSEMBLING


def test_results_of_another_cut_do_not_count() -> None:
    old, given, job = Inputs(cut="old"), Inputs(cut="new"), Job()
    job.give(given.upload(), *answered(old))
    assert job.give(given.prepared()) == ["AudioReady"]
    assert job.give(*answered(old)) == []
    assert job.give(*answered(given)) == ["ChunkCompleted", "ChunkCompleted"]


def test_an_early_success_replaces_an_early_failure() -> None:
    given, job = Inputs(chunks=1), Job()
    job.give(given.upload(), given.failed(0), given.transcribed(0), given.failed(0), given.diarized(0))
    job.give(given.prepared())
    assert job.known.status is Status.ASSEMBLING


def test_without_diarization_one_answer_completes_a_chunk() -> None:
    given, job = Inputs(chunks=1), Job()
    job.give(given.upload(TranscriptionOptions(diarize=False)), given.prepared())
    assert job.give(given.diarized(0)) == []
    assert job.give(given.transcribed(0)) == ["ChunkCompleted"]


def test_rejected_audio_fails_the_job() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload())
    assert job.give(given.rejected()) == ["JobFailed"]
    failed = job.facts[-1]
    assert isinstance(failed, records.JobFailed)
    assert (failed.code, failed.stage, failed.retryable) == ("not_audio", "preparing", False)
    assert job.give(given.retried()) == ["RequestRefused"]


def test_one_failed_chunk_is_a_gap_with_a_warning() -> None:
    job = gappy(Inputs())
    done = job.facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert [(gap.index, gap.code) for gap in done.gaps] == [(1, "engine_crashed")]
    assert [warning.code for warning in done.warnings] == ["gaps"]


def test_a_success_after_completion_of_its_chunk_closes_the_gap() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload(), given.prepared())
    assert job.give(given.failed(0), given.diarized(0)) == ["ChunkCompleted"]
    assert job.give(given.transcribed(0)) == []
    job.give(given.transcribed(1), given.diarized(1))
    job.give(assembled(job))
    done = job.facts[-1]
    assert isinstance(done, records.TranscriptCompleted) and done.gaps == ()


def test_all_failed_is_a_failed_job_that_may_be_retried_as_it_was_asked_for() -> None:
    given, job, options = Inputs(), Job(), TranscriptionOptions(language="de", vocabulary=("Palimpsest",))
    job.give(given.upload(options), given.prepared(), given.failed(0), given.diarized(0), given.failed(1))
    assert job.give(given.diarized(1)) == ["ChunkCompleted", "JobFailed"]
    failed = job.facts[-1]
    assert isinstance(failed, records.JobFailed)
    assert (failed.stage, failed.retryable) == ("transcribing", True)
    assert job.give(given.retried()) == ["JobRetried"]
    assert [(work.index, work.round, work.tasks) for work in job.sent()] == [(0, 1, (Task.ASR,)), (1, 1, (Task.ASR,))]
    assert {work.options for work in job.sent()} == {options}
    assert job.give(given.transcribed(0, 1), given.failed(1, round_=1)) == ["ChunkCompleted", "ChunkCompleted"]
    assert job.give(assembled(job, [segment(1_000)])) == ["SegmentsPublished", "TranscriptCompleted"]


def test_failed_diarization_is_a_warning() -> None:
    given, job = Inputs(chunks=1), Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0), given.failed(0, Task.DIARIZATION))
    job.give(assembled(job, [segment(1_000, speaker_id=None)]))
    done = job.facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert [warning.code for warning in done.warnings] == ["diarization_failed"]
    assert job.give(given.retried()) == ["RequestRefused"]


def test_a_retry_fills_the_gap_and_touches_nothing() -> None:
    given = Inputs()
    job = gappy(given)
    before = dict(job.known.segments)
    assert job.give(given.retried()) == ["JobRetried"]
    assert job.give(given.transcribed(1)) == []  # an answer of the round before
    assert job.give(given.transcribed(1, 1)) == ["ChunkCompleted"]
    assert job.give(assembled(job, [segment(31_000)])) == ["SegmentsPublished", "TranscriptCompleted"]
    done = job.facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert (done.round, done.gaps, done.warnings) == (1, (), ())
    assert before.items() <= job.known.segments.items()
    assert job.give(given.retried(2)) == ["RequestRefused"]


def test_a_retry_that_fails_leaves_the_transcript_as_it_was() -> None:
    given = Inputs()
    job = gappy(given)
    before = job.known.segments
    job.give(given.retried())
    assert job.give(given.failed(1, round_=1)) == ["ChunkCompleted", "TranscriptCompleted"]
    done = job.facts[-1]
    assert isinstance(done, records.TranscriptCompleted)
    assert [gap.index for gap in done.gaps] == [1]
    assert (job.known.segments, job.known.status, done.language) == (before, Status.COMPLETED, "en")
    assert job.give(given.retried(2)) == ["JobRetried"]


def test_a_failed_assembly_may_be_retried_without_new_work() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload(), given.prepared(), *answered(given))
    assert job.give(gave_up(job)) == ["JobFailed"]
    assert job.give(given.retried()) == ["JobRetried"]
    assert job.sent() == []
    assert job.give(assembled(job, [segment(1_000)])) == ["SegmentsPublished", "TranscriptCompleted"]


def test_a_failed_assembly_of_a_retry_keeps_its_gap() -> None:
    given = Inputs()
    job = gappy(given)
    job.give(given.retried(), given.transcribed(1, 1))
    assert job.give(gave_up(job)) == ["TranscriptCompleted"]
    assert job.give(given.retried(2)) == ["JobRetried"]
    assert [work.index for work in job.sent()] == [1, 1]


def test_cancellation_is_legal_until_the_job_ended() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0))
    assert job.give(given.cancelled()) == ["JobCancelled"]
    assert job.give(given.cancelled()) == ["RequestRefused"]
    assert job.give(*answered(given), given.stalled()) == []
    assert job.give(given.retried()) == ["RequestRefused"]


def test_a_deadline_ends_only_an_open_job_of_its_round() -> None:
    given, job = Inputs(), Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0))
    assert job.give(given.stalled(as_of_seq=1)) == []
    late = given.stalled(as_of_seq=2)
    assert job.give(late) == ["JobFailed"]
    assert job.give(given.retried()) == ["JobRetried"]
    assert job.give(late) == []
    assert job.known.open


def test_erasure_leaves_nothing_and_later_inputs_change_nothing() -> None:
    given = Inputs()
    job = completed(given)
    assert job.give(given.erased()) == ["JobErased"]
    erased = job.facts[-1]
    assert isinstance(erased, records.JobErased)
    assert erased.erased_facts == erased.seq - 1
    assert (job.known.segments, job.known.plan, job.known.speakers) == ({}, (), ())
    later = [given.upload(), given.prepared(), *answered(given), given.cancelled(), given.retried(), given.erased(2)]
    assert job.give(*later, given.feedback(), given.named("spk1", "Ann")) == []


def test_another_tenant_changes_nothing() -> None:
    given = Inputs()
    job = completed(given)
    thief = Inputs(tenant_id="thief")
    assert job.give(thief.erased(), thief.named("spk1", "Mine"), thief.cancelled()) == []


@pytest.mark.parametrize(
    ("rating", "kind"), [(0, "RequestRefused"), (1, "FeedbackGiven"), (5, "FeedbackGiven"), (6, "RequestRefused")]
)
def test_feedback(rating: int, kind: str) -> None:
    given = Inputs()
    assert completed(given).give(given.feedback(rating)) == [kind]


def test_speakers_are_named_and_merged() -> None:
    given = Inputs()
    job = completed(given)
    assert job.give(given.named("spk1", "Ann")) == ["SpeakerNamed"]
    assert job.give(given.named("spk1", None)) == ["SpeakerNamed"]
    assert job.give(given.named("spk9", "Bob"), given.named("spk1", "x" * 201)) == ["RequestRefused"] * 2
    assert job.give(given.merged("spk2", "spk2"), given.merged("spk2", "spk9")) == ["RequestRefused"] * 2
    assert job.give(given.merged("spk2", "spk1")) == ["SpeakersMerged"]
    assert job.give(given.named("spk2", "Bob"), given.merged("spk1", "spk2")) == ["RequestRefused"] * 2


def correction(given: Inputs, job: Job, names: Sequence[str], texts: Sequence[str]) -> records.CorrectionSubmitted:
    segments = {s.segment_id: s for f in job.facts if isinstance(f, records.SegmentsPublished) for s in f.segments}
    segments |= {s.segment_id: s for f in job.facts if isinstance(f, records.SegmentsRevised) for s in f.segments}
    base = tuple(
        BaseSegment(segment_id=name, revision=job.known.segments[name].revision, segment=segments[name])
        for name in names
    )
    replacement = tuple(ReplacementSegment(text=text, speaker_id="spk1") for text in texts)
    head = given.head(f"correct/{names}/{texts}")
    return records.CorrectionSubmitted(**head, base=base, replacement=replacement)  # type: ignore[arg-type]


def test_an_edit_keeps_the_id_and_moves_the_revision() -> None:
    given = Inputs()
    job = completed(given)
    edit = correction(given, job, ["s5-1"], ["Hallo there."])
    assert job.give(edit) == ["SegmentsRevised"]
    revised = job.facts[-1]
    assert isinstance(revised, records.SegmentsRevised)
    assert (revised.removed, revised.segments[0].segment_id) == ((), "s5-1")
    assert job.known.segments["s5-1"].revision == revised.seq
    stale = replace(edit, event_id="another")
    assert job.give(stale) == ["RequestRefused"]
    refused = job.facts[-1]
    assert isinstance(refused, records.RequestRefused)
    assert (refused.code, refused.request) == ("stale_revision", RequestKind.CORRECTION)


def test_a_split_and_a_merge_make_new_ids() -> None:
    given = Inputs()
    job = completed(given)
    job.give(correction(given, job, ["s5-1"], ["Hello", "there."]))
    assert list(job.known.segments) == ["s5-2", "s7-1", "s7-2"]
    job.give(correction(given, job, ["s7-1", "s7-2", "s5-2"], ["Hello there, I am fine, thanks."]))
    assert list(job.known.segments) == ["s8-1"]
    job.give(correction(given, job, ["s8-1"], []))
    assert job.known.segments == {}


@pytest.mark.parametrize(
    ("names", "texts", "code"),
    [
        ([], ["x"], "empty_base"),
        (["s5-2", "s5-1"], ["x"], "not_neighbours"),
        (["s5-1", "s5-1"], ["x"], "not_neighbours"),
        (["s5-1"], [" "], "empty_text"),
        (["s5-1"], ["x"] * 101, "too_large"),
        (["s5-1"], ["x" * 500_000], "too_large"),
    ],
)
def test_corrections_that_are_refused(names: list[str], texts: list[str], code: str) -> None:
    given = Inputs()
    job = completed(given)
    assert job.give(correction(given, job, names, texts)) == ["RequestRefused"]
    refused = job.facts[-1]
    assert isinstance(refused, records.RequestRefused) and refused.code == code


def test_unknown_segments_and_speakers_are_refused() -> None:
    given = Inputs()
    job = completed(given)
    edit = correction(given, job, ["s5-1"], ["Hi."])
    strange = replace(edit, base=(replace(edit.base[0], segment_id="s99-1"),))
    assert job.give(strange) == ["RequestRefused"]
    stranger = replace(edit, replacement=(ReplacementSegment(text="Hi.", speaker_id="spk7"),))
    assert job.give(stranger) == ["RequestRefused"]
    codes = [fact.code for fact in job.facts if isinstance(fact, records.RequestRefused)]
    assert codes == ["unknown_segment", "unknown_speaker"]


def test_records_of_segments_stay_small() -> None:
    many = tuple(segment(n * 1_000) for n in range(250))
    assert [len(packet) for packet in packets(many)] == [SEGMENTS_PER_RECORD, SEGMENTS_PER_RECORD, 50]
    wide = tuple(segment(n * 1_000, "word " * 2_000) for n in range(20))
    assert all(sum(map(size_bytes, packet)) <= 450_000 for packet in packets(wide))
    assert sum(len(packet) for packet in packets(wide)) == 20


def test_poison_is_answered() -> None:
    given = Inputs()
    job = Job()
    job.give(given.upload(), given.prepared())
    [failed] = answer_poison(job.state, given.transcribed(0))
    assert isinstance(failed, records.JobFailed) and failed.code == "internal"
    [refused] = answer_poison(job.state, given.named("spk1", "Ann"))
    assert isinstance(refused, records.RequestRefused)
    assert answer_poison(None, given.upload()) == []

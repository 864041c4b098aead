"""Laws of a job: whatever comes, in whatever order and however often, its history makes sense."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas import records
from schemas.values import Task, TranscriptionOptions
from streams.assembler.batch import identity_of
from streams.assembler.decide import Input, decide
from streams.assembler.job import evolve, fold, gaps, unfinished
from streams.assembler.results import answer
from streams.assembler.state import Change, State, Status
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.test_decide import Job, assembled, correction, gave_up, segment

CHUNKS = 3
INDEXES = st.sampled_from(range(CHUNKS))
ROUNDS = st.sampled_from(range(3))
UNANSWERED = (Status.PREPARING, Status.TRANSCRIBING)
TERMINAL = (records.TranscriptCompleted, records.JobFailed, records.JobCancelled)


class AnyHistory(RuleBasedStateMachine):
    """Inputs of one job as they may arrive: late, early, twice, from another cut, of rounds past and to come."""

    @initialize(diarize=st.booleans(), cut_before=st.booleans())
    def upload(self, diarize: bool, cut_before: bool) -> None:
        self.given = Inputs(chunks=CHUNKS)
        self.other_cut = Inputs(chunks=CHUNKS, cut="other")
        self.job = Job()
        self.seen: set[str] = set()
        self.came: set[str] = set()  # results of the cut that is planned
        self.heard: set[tuple[int, Task, int]] = set()
        self.give(self.given.upload(TranscriptionOptions(diarize=diarize)))
        if cut_before:
            self.whole(self.other_cut)

    def give(self, given: Input) -> None:
        """The store drops an input it has seen; the rules hold without that too, apart from requests."""
        if isinstance(given, records.Event):
            if identity_of(given) in self.seen:
                return
            self.seen.add(identity_of(given))
        self.job.give(given)

    def result(self, given: Inputs, made: records.TranscriptionRecord, again: bool = False) -> None:
        """A result, and sometimes once more when the store remembers it no longer."""
        state, first = self.job.known, given is self.given and made.event_id not in self.came
        if first and made.round == state.round and state.status in UNANSWERED:
            self.heard.add((made.index, answer(made).task, made.round))
        if first:
            self.came.add(made.event_id)
        self.give(made)
        if again:
            self.job.give(made)

    def cut(self, other: bool) -> Inputs:
        return self.other_cut if other else self.given

    @rule(index=INDEXES, round_=ROUNDS, other=st.booleans(), again=st.booleans())
    def words(self, index: int, round_: int, other: bool, again: bool) -> None:
        self.result(self.cut(other), self.cut(other).transcribed(index, round_), again)

    @rule(index=INDEXES, round_=ROUNDS, other=st.booleans(), again=st.booleans())
    def speakers(self, index: int, round_: int, other: bool, again: bool) -> None:
        self.result(self.cut(other), self.cut(other).diarized(index, round_), again)

    @rule(index=INDEXES, round_=ROUNDS, task=st.sampled_from(Task), other=st.booleans(), again=st.booleans())
    def failure(self, index: int, round_: int, task: Task, other: bool, again: bool) -> None:
        self.result(self.cut(other), self.cut(other).failed(index, task, round_), again)

    @rule()
    def all_words(self) -> None:
        self.whole(self.given)

    def whole(self, given: Inputs) -> None:
        for index in range(CHUNKS):
            self.result(given, given.transcribed(index, self.job.known.round))
            self.result(given, given.diarized(index, self.job.known.round))

    @rule()
    def plan(self) -> None:
        self.job.give(self.given.prepared())

    @rule()
    def rejection(self) -> None:
        self.give(self.given.rejected())

    @rule(count=st.integers(0, 3))
    def assembly_finished(self, count: int) -> None:
        if self.job.known.assembly:
            self.job.give(assembled(self.job, [segment(1_000 * n) for n in range(count)]))

    @rule()
    def assembly_given_up(self) -> None:
        if self.job.known.assembly:
            self.job.give(gave_up(self.job))

    @rule(n=st.integers(1, 3))
    def retry(self, n: int) -> None:
        self.give(self.given.retried(n))

    @rule()
    def deadline(self) -> None:
        self.give(self.given.stalled())

    @rule()
    def cancel(self) -> None:
        self.give(self.given.cancelled())

    @rule(n=st.integers(1, 2))
    def erase(self, n: int) -> None:
        self.give(self.given.erased(n))

    @rule()
    def edit(self) -> None:
        if names := list(self.job.known.segments):
            self.give(correction(self.given, self.job, names[:1], ["Well now."]))

    @rule(pair=st.sampled_from([("spk1", "spk2"), ("spk2", "spk1")]))
    def merge(self, pair: tuple[str, str]) -> None:
        self.give(self.given.merged(*pair))

    @invariant()
    def numbers_have_no_gap_and_ids_no_twin(self) -> None:
        facts = self.job.facts
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
        assert len({fact.event_id for fact in facts}) == len(facts)

    @invariant()
    def a_series_ends_at_most_once(self) -> None:
        still_open = True
        for fact in self.job.facts:
            if isinstance(fact, records.JobRetried):
                assert not still_open
                still_open = True
            if isinstance(fact, TERMINAL):
                assert still_open
                still_open = False
        if self.job.known.status is not Status.ERASED:
            assert self.job.known.open == still_open

    @invariant()
    def a_chunk_completes_once_a_round(self) -> None:
        done = [(f.index, f.round) for f in self.job.facts if isinstance(f, records.ChunkCompleted)]
        assert len(set(done)) == len(done)

    @invariant()
    def nothing_follows_erasure(self) -> None:
        kinds = [type(fact) for fact in self.job.facts]
        assert records.JobErased not in kinds[:-1]

    @invariant()
    def segments_never_change_but_by_correction(self) -> None:
        published = [
            s.segment_id for f in self.job.facts if isinstance(f, records.SegmentsPublished) for s in f.segments
        ]
        assert len(set(published)) == len(published)

    @invariant()
    def a_result_of_the_plan_is_an_answer(self) -> None:
        state = self.job.known
        for index, task, round_ in self.heard if state.status is Status.TRANSCRIBING else ():
            chunk = state.chunks[index]
            assert round_ != state.round or task not in chunk.wanted or task in chunk.answers

    @invariant()
    def the_log_tells_the_state(self) -> None:
        assert visible(fold(self.job.facts)) == visible(self.job.state)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


def visible(state: State | None) -> object:
    """What users can see of a job. The log does not hold the order of an assembly: an open job is just open."""
    assert state is not None
    ended = not state.open
    return (
        state.seq,
        state.status if ended else "open",
        state.round,
        state.plan,
        state.segments,
        state.speakers,
        state.merged,
        state.has_transcript,
        state.retryable,
        gaps(state) if state.status is Status.COMPLETED else (),
        unfinished(state) if state.status is Status.COMPLETED else {},
    )


def test_a_history_that_makes_no_sense_is_no_error() -> None:
    given = Inputs()
    job = Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0), given.diarized(0), given.failed(1))
    job.give(given.diarized(1))
    job.give(assembled(job))
    job.give(given.retried(), given.erased())
    for first in job.facts:
        state: State | None = None
        for change in [first, *reversed(job.facts)]:
            state = evolve(state, change)


def test_deciding_twice_decides_the_same() -> None:
    given = Inputs()
    state: State | None = None
    for item in (given.upload(), given.prepared(), given.transcribed(0), given.diarized(0)):
        first: list[Change] = decide(state, item)
        assert decide(state, item) == first
        state = fold(first, state)

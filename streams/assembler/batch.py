"""One batch of inputs applied to the jobs they are about, in memory.

In: states, inputs, what was applied before. Out: everything the store must write in the same transaction: new states,
slots of the outbox with final bytes, results, parked inputs. Talks to nothing but the codec.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from runtime import telemetry
from runtime.errors import Unavailable
from runtime.kafka import Incoming, Outgoing, dead_letter, outgoing
from schemas import records
from schemas.codec import Codec
from schemas.identity import fact_key, partition_for
from schemas.topics import TRANSCRIPTS, lane_topic
from streams.assembler.decide import Beginning, Input, answer_poison, decide, foreign, nobody
from streams.assembler.job import fold
from streams.assembler.results import answer
from streams.assembler.state import AnswerKept, AssemblyOrdered, Change, ChunkSent, State, Status
from streams.assembler.store import Parked, Result, Slot

SOURCE = "assembler"

log = telemetry.logger(__name__)


class ProcessEnded(Exception):
    """Applying the input did not raise: it ended the process, by a crash of native code or for want of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An input, and the record it came in; what the assembly gives comes in none.

    A `deadly` one took the process down each time it was applied: it is answered without being applied.
    """

    input: Input
    incoming: Incoming | None = None
    deadly: bool = False

    @property
    def identity(self) -> tuple[str, int] | None:
        """What tells an input from its repetitions."""
        if self.incoming is None or not isinstance(self.input, records.Event):
            return None
        return identity_of(self.input), self.incoming.redrives


def identity_of(event: records.Event) -> str:
    """What an event shares with its repetitions alone.

    An upload that is prepared anew after a stop may be cut otherwise: its chunks, and their results, have the ids of
    those before, and are about other audio.
    """
    if isinstance(event, records.TranscriptionRecord):
        return f"{event.event_id}/{event.chunk_sha256}"
    return event.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this batch runs: the jobs' partition, how many there are, and the group that reads."""

    partition: int
    partitions: int
    group: str


@dataclass(slots=True, kw_only=True)
class Batch:
    """What a transaction will write; of a `careful` one each input is noted before it is read."""

    place: Place
    codec: Codec
    careful: bool = False
    states: dict[str, State] = field(default_factory=dict)
    done: set[tuple[str, int]] = field(default_factory=set)
    slots: list[Slot] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    applied: list[tuple[str, int]] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    facts: list[records.TranscriptRecord] = field(default_factory=list)

    def take(self, given: Given) -> bool:
        """Applies one input; true when it made its job known, so that what waited for the job can follow."""
        identity = given.identity
        if identity is not None and identity in self.done:
            return False
        state = self.states.get(given.input.job_id)
        if state is None and not isinstance(given.input, Beginning):
            if given.incoming is not None:
                self.parked.append(Parked(job_id=given.input.job_id, incoming=given.incoming))
            return False
        if identity is not None:
            self.done.add(identity)
            self.applied.append(identity)
        if state is not None and foreign(state, given.input):
            self._bury(given, "TenantMismatch", "the job belongs to another tenant")
            return False
        self._apply(state, given)
        return state is None

    def undecodable(self, incoming: Incoming, error: Exception) -> None:
        """A record nobody can read goes to the dead letters."""
        self._dead(incoming, type(error).__name__, str(error))

    def unread(self, incoming: Incoming) -> None:
        """A record that takes the process down even where it is only read; what it was about is not known."""
        self._dead(incoming, ProcessEnded.__name__, "it ended the process each time it was read")

    def unpark(self, job_id: str) -> Iterator[Incoming]:
        """Takes back what this batch parked for a job."""
        waiting = [item for item in self.parked if item.job_id == job_id]
        self.parked = [item for item in self.parked if item.job_id != job_id]
        return (item.incoming for item in waiting)

    def expire(self, incoming: Incoming) -> None:
        """An input whose job never came."""
        self._dead(incoming, "UnknownJob", "no job of this id was accepted in time")

    def crowded_out(self, incoming: Incoming) -> None:
        """An input of an unknown job for which too many wait already."""
        self._dead(incoming, "TooManyParked", "too many inputs wait for this job")

    def ordered(self) -> list[State]:
        """Jobs that wait for their assembly."""
        return [state for state in self.states.values() if state.status is Status.ASSEMBLING]

    def _apply(self, state: State | None, given: Given) -> None:
        try:
            if given.deadly:
                raise ProcessEnded("it ended the process each time it was applied")
            changes = decide(state, given.input)
            slots = list(self._slots(changes))
        except Unavailable:
            raise
        except Exception as error:  # pure code that fails once fails always: the record is poison
            log.exception("an input could not be applied", action="assembler.poison", job_id=given.input.job_id)
            self._bury(given, type(error).__name__, str(error))
            changes = answer_poison(state, given.input)
            slots = list(self._slots(changes))
        if state is None and isinstance(given.input, Beginning):
            state = nobody(given.input)
        after = fold(changes, state)
        if after is None or not changes:
            return
        self.states[after.job_id] = after
        self._keep(given, changes)
        self._say(after, changes, slots)

    def _keep(self, given: Given, changes: list[Change]) -> None:
        record, incoming = given.input, given.incoming
        if not isinstance(record, records.ChunkTranscribed | records.ChunkDiarized) or incoming is None:
            return
        if any(isinstance(change, AnswerKept) for change in changes):
            self.results.append(
                Result(
                    job_id=record.job_id,
                    index=record.index,
                    task=answer(record).task.value,
                    round=record.round,
                    chunk_sha256=record.chunk_sha256,
                    record=incoming.value or b"",
                )
            )

    def _say(self, state: State, changes: list[Change], slots: list[Slot]) -> None:
        facts = [change for change in changes if not isinstance(change, AnswerKept | AssemblyOrdered | ChunkSent)]
        self.facts += facts
        if state.status is Status.ERASED:
            self._forget(state.job_id)
        elif not state.open and not state.retryable:
            self.finished.add(state.job_id)
        self.slots += slots

    def _forget(self, job_id: str) -> None:
        self.slots = [slot for slot in self.slots if slot.job_id != job_id]
        self.results = [result for result in self.results if result.job_id != job_id]
        self.erased.add(job_id)

    def _slots(self, changes: list[Change]) -> Iterator[Slot]:
        """Final bytes: facts at ordinal 0, tombstones below, work for the lanes above, all under the fact's number."""
        seq = extra = 0
        for change in changes:
            if isinstance(change, ChunkSent):
                extra += 1
                out = outgoing(change.work, lane_topic(change.work.lane), self.codec, self.place.partitions, SOURCE)
                yield self._slot(change.work.job_id, seq, extra, out)
            elif not isinstance(change, AnswerKept | AssemblyOrdered):
                seq, extra = change.seq, 0
                if isinstance(change, records.JobErased):
                    yield from self._tombstones(change)
                out = outgoing(change, TRANSCRIPTS, self.codec, self.place.partitions, SOURCE)
                yield self._slot(change.job_id, seq, 0, out)

    def _tombstones(self, fact: records.JobErased) -> Iterator[Slot]:
        partition = partition_for(fact.job_id.encode(), self.place.partitions)
        for seq in range(1, fact.erased_facts + 1):
            out = Outgoing(topic=TRANSCRIPTS, partition=partition, key=fact_key(fact.job_id, seq), value=None)
            yield self._slot(fact.job_id, fact.seq, seq - fact.erased_facts - 1, out)

    def _slot(self, job_id: str, seq: int, ordinal: int, out: Outgoing) -> Slot:
        return Slot(job_id=job_id, seq=seq, ordinal=ordinal, partition=self.place.partition, out=out)

    def _bury(self, given: Given, cause: str, message: str) -> None:
        if given.incoming is not None:
            self._dead(given.incoming, cause, message)

    def _dead(self, incoming: Incoming, cause: str, message: str) -> None:
        log.warning("a record goes to the dead letters", action="assembler.dead_letter", cause=cause)
        telemetry.dead_letters.labels(cause).inc()
        out = dead_letter(incoming, self.place.group, cause, message, 1)
        owner = f"{incoming.topic}/{incoming.partition}"  # no job: the record's own place is its key in the outbox
        self.slots.append(self._slot(owner, incoming.offset, 0, out))

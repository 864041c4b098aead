"""Jobs of every kind, as today's assembler decides them: what a release records.

In: nothing. Out: by kind, the facts of one job as they stand on the log; None is a tombstone.
"""

from collections.abc import Mapping
from dataclasses import replace

from schemas import records
from schemas.records import TranscriptRecord
from schemas.values import TranscriptionOptions
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.test_decide import Job, answered, assembled, completed, correction, gappy, segment

History = list[tuple[int, TranscriptRecord | None]]


def stories() -> Mapping[str, History]:
    """Each with the numbers of its facts."""
    return {
        "plain": _written(completed(Inputs("recorded plain"))),
        "without-speakers": _written(_without_speakers()),
        "gap-and-retry": _written(_retried()),
        "corrected": _written(_corrected()),
        "named-and-merged": _written(_merged()),
        "cancelled": _written(_cancelled()),
        "rejected": _written(_rejected()),
        "failed-and-retried": _written(_failed()),
        "stalled": _written(_stalled()),
        "erased": _erased(),
        "erased-and-compacted": _erased()[-1:],
    }


def _written(job: Job) -> History:
    return [(fact.seq, fact) for fact in job.facts]


def _without_speakers() -> Job:
    given, job = Inputs("recorded mute", chunks=1), Job()
    options = TranscriptionOptions(language="de", diarize=False, vocabulary=("Palimpsest",))
    job.give(given.upload(options), given.prepared(), given.transcribed(0))
    job.give(assembled(job, [segment(1_000, speaker_id=None)]))
    return job


def _retried() -> Job:
    given = Inputs("recorded gap")
    job = gappy(given)
    job.give(given.retried(), given.transcribed(1, 1))
    job.give(assembled(job, [segment(40_000, "What was missing.")]))
    job.give(given.retried(2))  # refused: nothing is missing any more
    return job


def _corrected() -> Job:
    given = Inputs("recorded corrections")
    job = completed(given)
    first, second = tuple(job.known.segments)
    job.give(correction(given, job, [first], ["Hello here."]))
    job.give(correction(given, job, [second], ["I am fine,", "thanks."]))
    job.give(correction(given, job, [first, list(job.known.segments)[-1]], ["All in one."]))
    job.give(replace(correction(given, job, [first], ["Too late."]), base=()))
    return job


def _merged() -> Job:
    given = Inputs("recorded speakers")
    job = completed(given)
    job.give(given.named("spk1", "Ada"), given.named("spk2", "Grace"), given.named("spk2", None))
    job.give(given.merged("spk2", "spk1"), given.feedback(4), given.feedback(9))
    return job


def _cancelled() -> Job:
    given, job = Inputs("recorded cancelled"), Job()
    job.give(given.upload(), given.prepared(), given.transcribed(0), given.cancelled(), given.retried())
    return job


def _rejected() -> Job:
    given, job = Inputs("recorded rejected"), Job()
    job.give(given.upload(), given.rejected())
    return job


def _failed() -> Job:
    given, job = Inputs("recorded failed", chunks=1), Job()
    job.give(given.upload(), given.prepared(), given.failed(0), given.diarized(0))
    job.give(given.retried(), given.transcribed(0, 1), given.diarized(0, 1))
    job.give(assembled(job, [segment(1_000)]))
    return job


def _stalled() -> Job:
    given, job = Inputs("recorded stalled"), Job()
    job.give(given.upload(), given.prepared(), *answered(given)[:1], given.stalled())
    return job


def _erased() -> History:
    """As it stands on the log: facts, tombstones over them, and the fact that stays."""
    given = Inputs("recorded erased")
    job = completed(given)
    job.give(given.erased())
    *facts, last = _written(job)
    assert isinstance(last[1], records.JobErased)
    return [*facts, *((seq, None) for seq, _ in facts), last]

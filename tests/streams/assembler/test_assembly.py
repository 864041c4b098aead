"""An assembly says when the speakers are not as many as asked for; a later round's are those of the round before."""

import pytest

from schemas.values import TranscriptionOptions
from streams.assembler.assembly import AssemblyTask, Material, Wanted, assemble, known_speakers
from streams.assembler.speakers import ChunkEvidence
from streams.assembler.state import AssemblyOrder, Mark
from streams.assembler.turns import Turn
from tests.streams.assembler.given import Inputs, evidence


def turn(start_ms: int, end_ms: int, speaker: str) -> Turn:
    return Turn(start_ms=start_ms, end_ms=end_ms, speaker=speaker)


def mark(start_ms: int, end_ms: int, speaker_id: str | None) -> Mark:
    return Mark(revision=1, start_ms=start_ms, end_ms=end_ms, speaker_id=speaker_id)


def test_a_retry_s_clusters_go_by_the_names_they_had_however_they_are_numbered_now() -> None:
    existing = [mark(0, 4_000, "spk1"), mark(4_000, 9_000, "spk2"), mark(9_000, 12_000, "spk1")]
    found = [turn(100, 3_900, "1"), turn(3_950, 9_100, "0"), turn(9_100, 11_800, "1"), turn(15_000, 18_000, "0")]
    named = known_speakers(found, existing)
    assert [item.speaker for item in named] == ["spk1", "spk2", "spk1", "spk2"]
    assert [(item.start_ms, item.end_ms) for item in named] == [(item.start_ms, item.end_ms) for item in found]


def test_who_is_first_heard_in_a_retry_is_new() -> None:
    named = known_speakers([turn(0, 4_000, "0"), turn(5_000, 8_000, "1")], [mark(0, 4_000, "spk1"), mark(5, 9, None)])
    assert [item.speaker for item in named] == ["spk1", "new-1"]


@pytest.mark.parametrize(("asked", "codes"), [(1, []), (4, ["speaker_count"])])
def test_a_number_of_speakers_that_is_not_heard_is_a_warning(asked: int, codes: list[str]) -> None:
    wanted = Wanted(index=0, round=0, chunk_sha256="", start_ms=0, end_ms=30_000)
    task = AssemblyTask(
        job_id="job",
        tenant_id="tenant",
        partition=0,
        order=AssemblyOrder(round=0, cause_id="job", occurred_at=0),
        options=TranscriptionOptions(diarize=True, num_speakers=asked),
        words=(wanted,),
        evidence=(wanted,),
    )
    heard = ChunkEvidence(start_ms=0, end_ms=30_000, evidence=evidence([(500, 20_000, 0)], 0, 30_000))
    made = assemble(task, Material(transcribed=[Inputs().transcribed(0)], evidence=[heard]))
    assert [warning.code for warning in made.warnings] == codes
    assert [speaker.speaker_id for speaker in made.speakers] == ["spk1"]

"""The pure parts of the views: places of words, speakers, batches of rows, progress."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.jobs.views import JobRow, eta_s, progress, stage
from projections.search.documents import SegmentDocument
from projections.search.indexer import BULK_CHARS, MAX_PAUSE_S, MIN_BATCH_SEGMENTS, Pace, bulks
from projections.search.marks import CLOSED, OPENED, first_mark, marked_html, plain
from projections.transcripts.places import word_places
from projections.transcripts.project import segment_ordinal
from projections.transcripts.speakers import SpeakerRow, Speakers
from projections.writes import Statement, Write, batches
from schemas.values import TranscriptionOptions, Word

ROW = JobRow(
    job_id="j",
    tenant_id="t",
    created_at=0,
    file_name=None,
    media_type=None,
    audio_key="k",
    sha256="",
    size_bytes=1,
    options=TranscriptionOptions(),
    lane="batch",
    origin_job_id=None,
    status="processing",
    stage="transcribing",
    failure=None,
    duration_ms=1,
    planned=4,
    round_started_at=1_000,
    chunks_completed=2,
    last_chunk_at=5_000,
    chunk_language=None,
    chunk_failed=(),
    chunk_warnings=(),
    partial_text=None,
    completed=False,
    completed_language=None,
    completed_gaps=None,
    completed_warnings=None,
    updated_at=5_000,
    version=4,
    now_ms=6_000,
)


def test_the_remaining_time_goes_by_the_speed_so_far() -> None:
    assert eta_s(ROW) == 3.0  # two chunks of two seconds, of which one second has passed
    assert eta_s(replace(ROW, chunks_completed=0, last_chunk_at=None)) is None
    assert eta_s(replace(ROW, status="completed")) is None
    assert eta_s(replace(ROW, now_ms=100_000)) == 0.0


def test_progress_and_stage_follow_the_chunks() -> None:
    assert (progress(ROW), stage(ROW)) == (0.5, "transcribing")
    done = replace(ROW, chunks_completed=4)
    assert (progress(done), stage(done)) == (1.0, "assembling")
    unplanned = replace(ROW, planned=None)
    assert (progress(unplanned), stage(unplanned)) == (0.0, "preparing")


def _speaker(kind: str, speaker_id: str, text: str | None, seq: int = 1) -> SpeakerRow:
    return SpeakerRow(job_id="j", kind=kind, speaker_id=speaker_id, text=text, speech_ms=10, seq=seq)  # type: ignore[arg-type]


def test_merges_are_followed_to_the_end() -> None:
    speakers = Speakers(
        [
            _speaker("label", "spk1", "Speaker 1"),
            _speaker("label", "spk2", "Speaker 2"),
            _speaker("label", "spk10", "Speaker 10"),
            _speaker("merge", "spk1", "spk2", 7),
            _speaker("merge", "spk2", "spk10", 8),
            _speaker("name", "spk10", "Ada", 5),
        ]
    )
    assert (speakers.resolved("spk1"), speakers.display("spk1"), speakers.version) == ("spk10", "Ada", 8)
    assert [(each.speaker_id, each.speech_ms) for each in speakers.views()] == [("spk10", 30)]


def test_speakers_come_in_the_order_of_their_numbers() -> None:
    speakers = Speakers(_speaker("label", each, each) for each in ("spk10", "spk2", "spk1"))
    assert [each.speaker_id for each in speakers.views()] == ["spk1", "spk2", "spk10"]


def test_a_speaker_nobody_described_is_shown_by_id() -> None:
    assert Speakers([]).display("spk3") == "spk3"
    assert Speakers([]).display(None) is None


IDS = st.sampled_from(["spk1", "spk2", "spk3"])


@given(st.dictionaries(IDS, IDS))
def test_a_circle_of_merges_ends(merges: dict[str, str]) -> None:
    speakers = Speakers(_speaker("merge", gone, into) for gone, into in merges.items())
    for each in ("spk1", "spk2", "spk3"):
        assert speakers.resolved(each) is not None


@given(st.text(max_size=30), st.lists(st.text(max_size=5), max_size=8))
def test_words_stand_where_they_are_said_to(text: str, parts: Sequence[str]) -> None:
    places = word_places(text, [Word(text=part) for part in (*parts, *text.split())])
    assert all(text.startswith(word.text.strip(), at) for at, word in places)
    assert [at for at, _ in places] == sorted(at for at, _ in places)


def test_segments_made_later_come_later() -> None:
    assert segment_ordinal("s5-2") < segment_ordinal("s5-10") < segment_ordinal("s12-1")
    assert segment_ordinal("something else") == 0


def test_only_the_newest_row_of_a_key_is_written() -> None:
    one, two = Statement(name="one", key=("id",)), Statement(name="two", key=("id",))
    writes = [
        Write(statement=s, row={"id": i, "seq": q}) for s, i, q in ((two, 1, 1), (one, 1, 3), (one, 1, 2), (one, 2, 1))
    ]
    assert batches(writes, (one, two)) == [
        (one, [{"id": 1, "seq": 3}, {"id": 2, "seq": 1}]),
        (two, [{"id": 1, "seq": 1}]),
    ]


def test_a_refusing_engine_gets_less_and_less_often() -> None:
    pace = Pace()
    for _ in range(20):
        slower = pace.slower()
        assert slower.segments <= pace.segments
        assert slower.pause_s >= pace.pause_s
        pace = slower
    assert pace == Pace(segments=MIN_BATCH_SEGMENTS, pause_s=MAX_PAUSE_S)


def test_requests_stay_small() -> None:
    large = SegmentDocument(id="x", version=1, tenant_id="t", body={"text": "a" * (BULK_CHARS // 2 + 1)})
    assert [len(bulk) for bulk in bulks([large, large, large])] == [1, 1, 1]
    assert list(bulks([])) == []


@pytest.mark.parametrize("text", ["a<b>", "&amp;", "\"'", f"x{OPENED}y{CLOSED}"])
def test_marks_are_the_only_tags(text: str) -> None:
    html = marked_html(plain(text).replace("a", f"{OPENED}a{CLOSED}"))
    assert "<" not in html.replace("<mark>", "").replace("</mark>", "")
    assert first_mark("no") is None
    assert first_mark(f"ab{OPENED}c{CLOSED}") == 2

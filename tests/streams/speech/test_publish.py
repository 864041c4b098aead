"""What goes out: evidence before the record that names it, and an answer even where the result does not fit."""

from collections.abc import Iterator, Mapping

import pytest

from runtime.objects import SmallObjects
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec
from schemas.records import ChunkDiarized, ChunkFailed, ChunkTranscribed
from schemas.values import Passage, Task
from streams.speech.answers import model_run
from streams.speech.audio import AudioFetcher
from streams.speech.engines.protocol import ChunkError, Transcription
from streams.speech.messages import Evidence, Outcome
from streams.speech.publish import Publisher, Tried
from tests.streams.speech.lane import Lanes, cut_of
from tests.streams.speech.test_answers import INFO

MADE_BY = model_run(INFO, batch_size=1, elapsed_ms=1)


@pytest.fixture
def lanes(workspace: Mapping[str, str]) -> Iterator[Lanes]:
    made = Lanes(workspace)
    yield made
    made.close()


@pytest.fixture
def publisher(workspace: Mapping[str, str]) -> Iterator[Publisher]:
    settings = Settings.read(workspace)
    fetcher = AudioFetcher(SmallObjects(settings.objects), lambda: None)
    codec = Codec(Registry(settings.registry_url))
    yield Publisher(Task.ASR, settings.kafka, codec, fetcher, clock=lambda: 1_700_000_000.5)
    fetcher.close()


def passage(text: str) -> Passage:
    return Passage(
        start_ms=0,
        end_ms=1,
        text=text,
        language="en",
        language_probability=1,
        avg_logprob=-0.1,
        no_speech_probability=0,
        compression_ratio=1,
        temperature=0,
    )


def test_each_outcome_becomes_its_record(publisher: Publisher, lanes: Lanes) -> None:
    cuts = [cut_of(index) for index in range(3)]
    outcomes: list[Outcome] = [
        Transcription(passages=(passage("hello"),)),
        Evidence(data=b"evidence", speech_ms=7),
        ChunkError(code="odd", message="Odd.", retryable=False),
    ]
    publisher.results([Tried(cut=cut, tries=2) for cut in cuts], outcomes, MADE_BY)
    publisher.flush()
    words, diarized, failed = (
        lanes.answered_once(cuts)[cuts[0].event_id],
        *(lanes.answered_once(cuts)[cut.event_id] for cut in cuts[1:]),
    )
    assert isinstance(words, ChunkTranscribed) and words.passages[0].text == "hello"
    assert words.occurred_at == 1_700_000_000_500
    assert isinstance(diarized, ChunkDiarized) and lanes.store.get(diarized.evidence.key) == b"evidence"
    assert isinstance(failed, ChunkFailed)
    assert (failed.code, failed.retryable, failed.tries) == ("odd", False, 2)


def test_a_result_that_fits_no_record_is_answered_as_failed(publisher: Publisher, lanes: Lanes) -> None:
    cut = cut_of(0)
    publisher.results([Tried(cut=cut, tries=1)], [Transcription(passages=(passage("x" * 600_000),))], MADE_BY)
    publisher.flush()
    assert lanes.failure(cut).code == "result_too_large"

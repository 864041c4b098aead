"""Real recordings through the whole system with the real models: what was said, by whom, when."""

from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from tests.deadline import until
from tests.e2e.client import Client, Json
from tests.e2e.conftest import Pipeline
from tests.e2e.recordings import clip, encoded, flac, silence

JOB_TIMEOUT_S = 180.0
REFERENCE = Path(__file__).parents[1] / "data" / "reference"
CALL_TEXT = (
    "Hello? Hello? Oh, hello. I didn't know you were there. Neither did I. Okay, then I thought you know, I heard a "
    "beep. This is Diane in New Jersey. And I'm Sheila in Texas, originally from Chicago. Oh, I'm originally from "
    "Chicago also. I'm in New Jersey now though. Well, there isn't that much difference. At least you know, they all "
    "call me a Yankee down here, so what can I say? Oh, I don't hear that in New Jersey now."
)
GERMAN_TEXT = (
    "für die besten aussichten auf hongkong sollten sie die insel verlassen und zum gegenüberliegenden ufer von "
    "kowloon fahren"
)
NOUNS_TEXT = (
    "all nouns alongside the word sie for you always begin with a capital letter even in the middle of a sentence"
)
JFK_TEXT = (
    "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
)
# Bounds are loose: whether the model got better or worse is measured by the evaluation, not here.
MAX_CALL_WER = 0.35
MAX_READ_WER = 0.35
MAX_CALL_DER = 0.12

pytestmark = pytest.mark.real_model


@pytest.fixture(scope="module")
def client(real_pipeline: Pipeline) -> Client:
    return real_pipeline.client()


@pytest.fixture(scope="module")
def call(client: Client) -> Iterator[Json]:
    """The phone call, transcribed."""
    job = client.submit("call.flac", flac(clip("pyannote-sample")))
    yield client.ended(job["id"], JOB_TIMEOUT_S)


def _wer(reference: str, transcript: Json) -> float:
    normalise = EnglishTextNormalizer() if transcript["language"] == "en" else BasicTextNormalizer()
    rate: float = jiwer.wer(normalise(reference), normalise(transcript["text"]))
    return rate


def _transcribed(client: Client, name: str, audio: bytes, **options: str) -> Json:
    job = client.ended(client.submit(name, audio, **options)["id"], JOB_TIMEOUT_S)
    assert job["status"] == "completed", job
    return client.transcript(job["id"])


def test_a_call_of_two_is_told_apart(client: Client, call: Json) -> None:
    assert call["status"] == "completed", call
    assert (call["progress"], call["stage"], call["language"]) == (1.0, "done", "en")
    transcript = client.transcript(call["id"])
    assert _wer(CALL_TEXT, transcript) <= MAX_CALL_WER
    assert len(transcript["speakers"]) == 2
    said_by = {segment["speaker_id"]: "" for segment in transcript["segments"]}
    for segment in transcript["segments"]:
        said_by[segment["speaker_id"]] += segment["text"]
    diane = next(speaker for speaker, text in said_by.items() if "Diane" in text or "Diana" in text)
    sheila = next(speaker for speaker, text in said_by.items() if "Texas" in text)
    assert diane != sheila


def test_who_spoke_when_is_close_to_the_reference(client: Client, call: Json) -> None:
    reference = load_rttm(str(REFERENCE / "pyannote-sample.rttm"))["pyannote-sample"]  # type: ignore[no-untyped-call]
    found = Annotation()
    for i, segment in enumerate(client.transcript(call["id"])["segments"]):
        for word in segment["words"]:
            found[Segment(word["start"], word["end"]), (i, word["index"])] = segment["speaker_id"]
    # Words leave out the pauses that the reference counts as speech: only confusion is the diarizer's.
    metric = DiarizationErrorRate(collar=0.5, skip_overlap=True)
    rate = metric(reference, found.support(0.5), detailed=True, uem=Timeline([Segment(0, 30)]))
    assert rate["confusion"] / rate["total"] <= MAX_CALL_DER


def test_times_are_ordered_and_inside_the_recording(client: Client, call: Json) -> None:
    transcript = client.transcript(call["id"])
    starts = [segment["start"] for segment in transcript["segments"]]
    assert starts == sorted(starts)
    for segment in transcript["segments"]:
        assert 0 <= segment["start"] <= segment["end"] <= transcript["duration"]
        for word in segment["words"]:
            assert segment["start"] - 0.001 <= word["start"] <= word["end"] <= segment["end"] + 0.001


def test_what_was_said_is_found_with_its_moment(client: Client, call: Json) -> None:
    (hit, *_) = client.found("texas", job=call["id"])
    assert "<mark>" in hit["highlight"]
    assert 15 < hit["moment"] < 17.8, "said in the sentence from 14.4 to 17.8 s"
    assert client.found('"New Jersey"', job=call["id"])
    assert client.search("chica*", job=call["id"])
    assert client.search("chica", job=call["id"]) == []
    assert client.search("chica", job=call["id"], as_you_type="true")
    assert client.search("submarine", job=call["id"]) == []


def test_german_is_recognised(client: Client) -> None:
    transcript = _transcribed(client, "insel.flac", flac(clip("fleurs-de-000")))
    assert transcript["language"] == "de"
    assert _wer(GERMAN_TEXT, transcript) <= MAX_READ_WER


def test_a_long_silence_has_no_words(client: Client) -> None:
    speech = clip("jfk")
    gap = (len(speech) / 16_000, len(speech) / 16_000 + 70)
    audio = flac(np.concatenate([speech, silence(70), speech]))
    transcript = _transcribed(client, "pause.flac", audio, diarize="false")
    assert _wer(f"{JFK_TEXT} {JFK_TEXT}", transcript) <= MAX_READ_WER
    inside = [w for s in transcript["segments"] for w in s["words"] if gap[0] + 1 < w["start"] < gap[1] - 1]
    assert inside == []


def test_an_mp3_is_transcribed(client: Client) -> None:
    transcript = _transcribed(client, "rede.mp3", encoded(clip("jfk"), "mp3", "libmp3lame"))
    assert _wer(JFK_TEXT, transcript) <= MAX_READ_WER


def test_a_videos_sound_is_transcribed(client: Client) -> None:
    video = encoded(clip("fleurs-en-001"), "mp4", "aac", with_video=True)
    transcript = _transcribed(client, "lecture.mp4", video)
    assert _wer(NOUNS_TEXT, transcript) <= MAX_READ_WER


def test_what_is_not_audio_is_refused_in_words(client: Client) -> None:
    job = client.ended(client.submit("notes.wav", b"These are notes, not audio.\n" * 50)["id"], JOB_TIMEOUT_S)
    assert job["status"] == "failed"
    assert job["failure"]["code"] == "not_audio"
    assert not job["failure"]["retryable"]
    assert job["failure"]["message"].endswith(".")


def test_captions_name_the_speakers(client: Client, call: Json) -> None:
    job_id = call["id"]
    speaker = call["speakers"][0]["id"]
    answer = client.http.put(f"/v1/transcriptions/{job_id}/speakers/{speaker}", json={"name": "Diane"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "Diane"
    srt = client.http.get(f"/v1/transcriptions/{job_id}/transcript", params={"format": "srt"}).text
    assert "Diane" in srt
    assert "-->" in srt
    assert client.found("diane", job=job_id)


def test_a_correction_is_seen_at_once_and_found(client: Client, call: Json) -> None:
    job_id = call["id"]
    segment = client.transcript(job_id)["segments"][0]
    url = f"/v1/transcriptions/{job_id}/segments/{segment['id']}"
    etag = f'"{segment["revision"]}"'
    corrected = client.http.patch(url, json={"text": "Palimpsest speaking."}, headers={"If-Match": etag})
    assert corrected.status_code == 200, corrected.text
    assert corrected.json()["text"] == "Palimpsest speaking."
    assert client.transcript(job_id)["segments"][0]["text"] == "Palimpsest speaking."
    stale = client.http.patch(url, json={"text": "Lost update"}, headers={"If-Match": etag})
    assert stale.status_code == 412
    assert [hit["segment_id"] for hit in client.found("palimpsest", job=job_id)] == [segment["id"]]


def test_the_events_tell_the_whole_story_in_order(client: Client, call: Json) -> None:
    events = list(client.events(call["id"]))
    numbers = [seq for seq, _, _ in events]
    assert numbers == list(range(1, len(numbers) + 1))
    kinds = [kind for _, kind, _ in events]
    assert kinds[:2] == ["JobAccepted", "AudioReady"]
    assert "TranscriptCompleted" in kinds


def test_an_erased_recording_is_gone(client: Client, real_pipeline: Pipeline) -> None:
    job = client.ended(client.submit("secret.flac", flac(clip("jfk")), diarize="false")["id"], JOB_TIMEOUT_S)
    client.found("country", job=job["id"])
    assert client.http.delete(f"/v1/transcriptions/{job['id']}").status_code in (202, 204)
    gone = until(lambda: client.http.get(f"/v1/transcriptions/{job['id']}").status_code == 410, 10, "the job is gone")
    assert gone
    until(lambda: client.search("country", job=job["id"]) == [], 10, "the text is gone from the index")
    assert real_pipeline.client("stranger").http.get(f"/v1/transcriptions/{job['id']}").status_code == 404

"""A running server as the engine: uploads a clip, waits, reads the transcript.

In: an address, a key and files. Out: hypotheses; its one stage is the time from POST to the transcript.
Speaks HTTP only. Passages are not to be seen from outside: segments stand for them, their words for turns.
"""

import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from bench.evaluation.hypothesis import (
    FoundPassage,
    FoundSegment,
    FoundTurn,
    FoundWord,
    Hypothesis,
    Stopwatch,
)
from schemas.values import LOW_CONFIDENCE

JOB_TIMEOUT_S = 3_600.0
POLL_S = 0.2
ANSWER_TIMEOUT_S = 60.0


class ServerFailed(Exception):
    """The server does not answer, refuses, or a job failed or took too long; the message says which."""


class ServerEngine:
    """A Palimpsest server."""

    name = "server"

    def __init__(self, url: str, key: str, options: dict[str, str]) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=ANSWER_TIMEOUT_S)
        self._options = options
        self.models = {"server": url}

    def run(self, audio: Path) -> Hypothesis:
        """The transcript of a file; raises ServerFailed."""
        try:
            return self._run(audio)
        except httpx.HTTPStatusError as error:
            said = error.response.text.strip()
            raise ServerFailed(f"the server answered {error.response.status_code} to {audio.name}: {said}") from error
        except httpx.TransportError as error:
            raise ServerFailed(f"the server cannot be reached: {error}") from error

    def _run(self, audio: Path) -> Hypothesis:
        watch = Stopwatch()
        with watch.stage("server"):
            job = self._ended(self._posted(audio))
            answer = self._http.get(f"/v1/transcriptions/{job['id']}/transcript", params={"format": "json"})
            transcript = answer.raise_for_status().json()
        self._http.delete(f"/v1/transcriptions/{job['id']}").raise_for_status()
        return _hypothesis(transcript, watch)

    def _posted(self, audio: Path) -> Any:
        answer = self._http.post(
            "/v1/transcriptions",
            params={**self._options, "file_name": audio.name},
            content=audio.read_bytes(),
            headers={"Content-Type": "application/octet-stream", "Idempotency-Key": f'"{uuid.uuid4()}"'},
        )
        return answer.raise_for_status().json()

    def _ended(self, job: Any) -> Any:
        deadline = time.monotonic() + JOB_TIMEOUT_S
        while job["status"] != "completed":
            if job["status"] in ("failed", "cancelled") or time.monotonic() > deadline:
                raise ServerFailed(f"job {job['id']} is {job['status']}: {job['failure']}")
            time.sleep(POLL_S)
            job = self._http.get(f"/v1/transcriptions/{job['id']}").raise_for_status().json()
        return job


def _hypothesis(transcript: Any, watch: Stopwatch) -> Hypothesis:
    segments = transcript["segments"]
    words = [(word, segment) for segment in segments for word in segment["words"]]
    return Hypothesis(
        language=transcript["language"],
        passages=tuple(FoundPassage(text=s["text"], language=s["language"], flags=tuple(s["flags"])) for s in segments),
        segments=tuple(FoundSegment(text=s["text"], start_s=s["start"], speaker=s["speaker_id"]) for s in segments),
        words=tuple(
            FoundWord(
                text=word["text"],
                start_s=word["start"],
                end_s=word["end"],
                confidence=word["confidence"],
                segment_confidence=segment["confidence"],
                doubted=LOW_CONFIDENCE in segment["flags"],
            )
            for word, segment in words
        ),
        turns=tuple(
            FoundTurn(start_s=word["start"], end_s=word["end"], speaker=segment["speaker_id"])
            for word, segment in words
            if segment["speaker_id"] and word["start"] is not None
        ),
        stages=watch.stages,
    )

"""`make demo`: the whole way once, for real, on a recording of two people.

In: nothing but this machine. Out: the labelled transcript, a search hit, the addresses, and how long each stage took.
Must not know anything but HTTP of the running stack: what it does, any client can do.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import re
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.commands import hold, raise_interrupt, stack_from_environment
from local.errors import LocalError, MissingTool, NotReady
from local.stack import Stack

Document = dict[str, Any]
TRANSCRIBE_WITHIN_S = 300.0
SEARCH_WITHIN_S = 30.0
POLL_S = 0.2
ANSWER_TIMEOUT_S = 30.0
ENDED = ("completed", "failed", "cancelled")
BAR_CELLS = 30


class Stopwatch:
    """How long each stage took, in the order in which they began."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - begun


def sample_recording() -> Path:
    """Thirty seconds of a telephone call between two people, which the pyannote-audio package carries (MIT)."""
    spec = importlib.util.find_spec("pyannote")
    for folder in spec.submodule_search_locations or () if spec else ():
        file = Path(folder) / "audio" / "sample" / "sample.wav"
        if file.exists():
            return file
    raise MissingTool("The recording of the Python package pyannote-audio is not here; run `make setup`.")


def submit(client: httpx.Client, recording: Path) -> Document:
    """Upload the recording; the job it made."""
    answer = client.post(
        "/v1/transcriptions",
        content=recording.read_bytes(),
        headers={
            "Content-Type": "audio/wav",
            "Content-Disposition": f'attachment; filename="{recording.name}"',
            "Idempotency-Key": f'"{uuid.uuid4()}"',
        },
    )
    return _document(answer)


def follow(client: httpx.Client, job: Document, watch: Stopwatch) -> Document:
    """Show progress until the job has ended; every stage it went through is measured."""
    deadline = time.monotonic() + TRANSCRIBE_WITHIN_S
    while job["status"] not in ENDED:
        stage = job["stage"]
        with watch.measure(stage):
            while job["status"] not in ENDED and job["stage"] == stage:
                show_progress(job)
                if time.monotonic() > deadline:
                    raise NotReady(f"The recording was not transcribed after {TRANSCRIBE_WITHIN_S:.0f} s ({stage}).")
                time.sleep(POLL_S)
                job = _document(client.get(f"/v1/transcriptions/{job['id']}"))
    show_progress(job)
    sys.stderr.write("\n")
    if job["status"] != "completed":
        raise NotReady(f"The recording was not transcribed: {job['failure']}.")
    return job


def show_progress(job: Document) -> None:
    """A bar that moves where the output is a terminal; in a file nothing moves."""
    if sys.stderr.isatty():
        filled = round(BAR_CELLS * job["progress"])
        bar = "█" * filled + "·" * (BAR_CELLS - filled)
        sys.stderr.write(f"\r{bar} {job['progress']:4.0%} {job['stage']:<14}")
        sys.stderr.flush()


def segments_of(client: httpx.Client, job: Document) -> list[Document]:
    """All segments of a job."""
    items: list[Document] = _document(client.get(f"/v1/transcriptions/{job['id']}/segments"))["items"]
    return items


def find(client: httpx.Client, word: str, job: Document) -> Document:
    """The first place where the word was said; the index follows the transcript by a moment."""
    deadline = time.monotonic() + SEARCH_WITHIN_S
    while True:
        page = _document(client.get("/v1/search", params={"q": word, "job": job["id"]}))
        if page["items"]:
            hit: Document = page["items"][0]
            return hit
        if time.monotonic() > deadline:
            raise NotReady(f"The search did not find {word!r} after {SEARCH_WITHIN_S:.0f} s.")
        time.sleep(POLL_S)


def word_to_find(segments: Sequence[Document]) -> str:
    """The longest word that was said: long words say the most."""
    words = re.findall(r"[^\W\d_]+", " ".join(segment["text"] for segment in segments))
    if not words:
        raise NotReady("The transcript is empty.")
    longest: str = max(words, key=len)
    return longest


def _document(answer: httpx.Response) -> Document:
    if answer.is_error:
        raise NotReady(f"The API answered {answer.status_code}: {answer.text}")
    document: Document = answer.json()
    return document


def transcript_text(job: Document, segments: Sequence[Document]) -> str:
    """The transcript as lines of time, speaker and text."""
    speakers = len({segment["speaker_id"] for segment in segments if segment["speaker_id"]})
    title = f"{job['file_name']}: {job['duration_seconds']:.0f} s, language {job['language']}, {speakers} speakers"
    rows = [f"  {moment(s['start'])} – {moment(s['end'])}  {s['speaker'] or '–':<12}{s['text']}" for s in segments]
    return "\n".join([title, *rows, *(f"  warning: {warning['message']}" for warning in job["warnings"])])


def hit_text(word: str, hit: Document) -> str:
    """A search hit: where, who, and the words around it."""
    marked = html.unescape(re.sub(r"</?mark>", "*", hit["highlight"]))
    return f"Search for {word!r}:\n  {moment(hit['moment'])}  {hit['speaker'] or '–'}: {marked}"


def moment(seconds: float) -> str:
    """m:ss.t of a place in a recording."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def addresses_text(stack: Stack) -> str:
    """Where everything is."""
    rows = [f"  {row.name:<20}{row.address}" for row in stack.status()]
    key = f"  {'API key':<20}in {stack.layout.local_key}"
    return "\n".join(["Addresses:", *rows, key])


def times_text(seconds: dict[str, float]) -> str:
    """How long each stage took."""
    return "\n".join(["Times:", *(f"  {stage:<20}{taken:6.1f} s" for stage, taken in seconds.items())])


def show(stack: Stack, watch: Stopwatch) -> None:
    """Transcribe the recording through the running stack and print what there is to see."""
    key = stack.layout.local_key.read_text().strip()
    with httpx.Client(
        base_url=f"http://{stack.site.address('api')}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=ANSWER_TIMEOUT_S,
    ) as client:
        with watch.measure("upload"):
            job = submit(client, sample_recording())
        job = follow(client, job, watch)
        segments = segments_of(client, job)
        word = word_to_find(segments)
        with watch.measure("search"):
            hit = find(client, word, job)
    texts = (transcript_text(job, segments), hit_text(word, hit), addresses_text(stack), times_text(watch.seconds))
    print("\n" + "\n\n".join(texts), flush=True)


def run(arguments: argparse.Namespace) -> int:
    """Start what does not run, show, and hold or stop."""
    watch = Stopwatch()
    if arguments.begun:
        watch.seconds["install"] = max(0.0, time.time() - arguments.begun)
    stack = stack_from_environment()
    ran_before = stack.is_running()
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        with watch.measure("start"):
            stack.start()
        show(stack, watch)
        if not arguments.exit:
            hold()
    except KeyboardInterrupt:
        sys.stderr.write("\nstopping\n")
    finally:
        if not ran_before:  # what was up before the demonstration stays up
            stack.stop()
    return 0


def main() -> int:
    """`python -m local.demo`."""
    parser = argparse.ArgumentParser(prog="make demo", description="Transcribe a recording of two people.")
    parser.add_argument("--exit", action="store_true", help="stop everything afterwards")
    parser.add_argument("--begun", type=float, metavar="SECONDS", help="when the whole began, in seconds since 1970")
    try:
        return run(parser.parse_args())
    except LocalError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

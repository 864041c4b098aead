"""`palimpsest transcribe FILE…`: upload, wait, write the transcript.

In: files and options. Out: transcripts on standard output or in a folder, progress on standard error.
Must not know how the server does it.
"""

import argparse
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cli.client import Client, Document, Upload
from cli.connection import add_server_options, server_from
from cli.errors import CommandError, Exit
from cli.export import FORMATS, write_transcript
from cli.follow import follow
from cli.progress import Display, display
from cli.text import moment, printable

FILES_AT_ONCE = 4
READ_BLOCK_BYTES = 1024 * 1024
QUALITIES = ("draft", "balanced", "accurate")
EXAMPLES = """examples:
  palimpsest transcribe call.m4a
  palimpsest transcribe *.mp3 --speakers 2 --format srt -o subtitles
  palimpsest transcribe talk.wav --language de --vocabulary "Palimpsest,Kafka" --format json > talk.json
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for every file of one call."""

    options: Mapping[str, str]
    form: str
    folder: Path | None
    wait: bool
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one file ended: `text` is the transcript, unless it was written to a folder."""

    file: Path
    status: Exit
    text: bytes = b""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "transcribe",
        help="transcribe audio or video files",
        description="Uploads files, follows their transcription and writes the transcripts. "
        "The same file with the same options is transcribed once, however often it is sent.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audio, or video with an audio track")
    parser.add_argument("--format", choices=FORMATS, default="txt", help="form of the transcript (default: txt)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write FILE's transcript to DIR/FILE.FORMAT")
    parser.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="wait for the transcript")
    parser.add_argument("--again", action="store_true", help="make a new job even where this file was sent before")
    _add_job_options(parser)
    add_server_options(parser)


def _add_job_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("transcription")
    group.add_argument("--language", metavar="CODE", help="spoken language, such as en or de (default: found out)")
    group.add_argument("--languages", metavar="CODES", help="only these may be spoken, separated by commas")
    group.add_argument("--translate", action="store_true", help="write in English what was said")
    group.add_argument("--quality", choices=QUALITIES, help="how much work to put into the words (default: balanced)")
    group.add_argument("--speakers", type=int, metavar="N", help="exact number of speakers")
    group.add_argument("--min-speakers", type=int, metavar="N", help="at least so many speakers")
    group.add_argument("--max-speakers", type=int, metavar="N", help="at most so many speakers")
    group.add_argument("--no-diarize", action="store_true", help="do not tell speakers apart")
    group.add_argument("--vocabulary", metavar="WORDS", help="names and terms to expect, separated by commas")
    group.add_argument("--prompt", metavar="TEXT", help="text that might have come before: subject, spelling, style")


def job_options(arguments: argparse.Namespace) -> dict[str, str]:
    """The options as the API takes them; what was not given is left to the server."""
    given = {
        "language": arguments.language,
        "num_speakers": arguments.speakers,
        "min_speakers": arguments.min_speakers,
        "max_speakers": arguments.max_speakers,
        "vocabulary": arguments.vocabulary,
        "languages": arguments.languages,
        "task": "translate" if arguments.translate else None,
        "prompt": arguments.prompt,
        "quality": arguments.quality,
        "diarize": "false" if arguments.no_diarize else None,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the file that went worst."""
    wish = Wish(
        options=job_options(arguments),
        form=arguments.format,
        folder=arguments.output,
        wait=arguments.wait,
        again=arguments.again,
    )
    files: list[Path] = arguments.files
    _check(files, wish)
    with closing(Client(server_from(arguments, os.environ))) as client, display() as shown:
        results = _in_parallel(partial(_transcribe_or_say, client, shown, wish), files)
    for result in results:
        _print(result, headed=len(files) > 1 and wish.wait)
    return max(result.status for result in results)


def _in_parallel(work: Callable[[Path], Result], files: list[Path]) -> list[Result]:
    """Results in the files' order; Ctrl-C stops the waiting, not the jobs."""
    pool = ThreadPoolExecutor(FILES_AT_ONCE)
    try:
        return list(pool.map(work, files))
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        sentence = "Stopped waiting; what was uploaded goes on without you: see `palimpsest jobs`."
        raise CommandError(sentence, Exit.INTERRUPTED) from None


def _check(files: list[Path], wish: Wish) -> None:
    for file in files:
        if not file.is_file():
            raise CommandError(f"There is no file {printable(file)}.", Exit.USAGE)
    stems = [file.stem for file in files]
    if wish.folder is None and len(files) > 1 and wish.wait and wish.form != "txt":
        raise CommandError(f"Several files as {wish.form} need a folder: add -o DIR.", Exit.USAGE)
    if wish.folder is not None and len(set(stems)) < len(stems):
        raise CommandError("Two of the files would be written to the same name; transcribe them apart.", Exit.USAGE)


def _transcribe_or_say(client: Client, shown: Display, wish: Wish, file: Path) -> Result:
    """One file's trouble must not end the others."""
    try:
        return _transcribe(client, shown, wish, file)
    except CommandError as error:
        # Not found means that this file's job was erased, now or before: its key still names it.
        hint = " Add --again to transcribe the file anew." if error.status is Exit.NOT_FOUND else ""
        shown.say(file.name, f"{error}{hint}")
        return Result(file=file, status=error.status)
    except OSError as error:
        shown.say(file.name, f"cannot be read or written: {error}")
        return Result(file=file, status=Exit.FAILED)


def _transcribe(client: Client, shown: Display, wish: Wish, file: Path) -> Result:
    size = max(1, file.stat().st_size)
    shown.step(file.name, "reading", 0.0)
    upload = Upload(file=file, options=wish.options, key=upload_key(file, wish.options, again=wish.again))
    job = client.upload(upload, lambda sent: shown.step(file.name, "uploading", sent / size))
    if not wish.wait:
        return Result(file=file, status=Exit.DONE, text=f"{job['id']}  {file.name}\n".encode())
    job = follow(client, job, lambda now: shown.step(file.name, now["stage"], now["progress"]))
    return _ended(client, shown, wish, file, job)


def _ended(client: Client, shown: Display, wish: Wish, file: Path, job: Document) -> Result:
    if job["status"] != "completed":
        shown.say(file.name, ending(job))
        return Result(file=file, status=Exit.FAILED)
    for warning in job["warnings"]:
        shown.say(file.name, f"note: {warning['message']}")
    for gap in job["gaps"]:
        span = f"{moment(gap['start'])} to {moment(gap['end'])}"
        shown.say(file.name, f"nothing from {span} ({gap['code']}); try `palimpsest retry {job['id']}`")
    text = client.transcript(job["id"], wish.form)
    if wish.folder is None:
        return Result(file=file, status=Exit.DONE, text=text)
    target = wish.folder / f"{file.stem}.{wish.form}"
    write_transcript(target, text)
    shown.say(file.name, f"written to {target} (job {job['id']})")
    return Result(file=file, status=Exit.DONE)


def ending(job: Document) -> str:
    """Why there is no transcript, in a sentence."""
    failure = job["failure"]
    if failure is None:
        return f"{job['status']} (job {job['id']}); add --again to transcribe the file anew"
    again = f"; try `palimpsest retry {job['id']}`" if failure["retryable"] else ""
    return f"{failure['message'].rstrip('.')} ({failure['code']}){again}"


def upload_key(file: Path, options: Mapping[str, str], *, again: bool) -> str:
    """The Idempotency-Key: sha256 of the file's bytes and the options, or a new one where `again` is asked for."""
    if again:
        return str(uuid.uuid4())
    digest = hashlib.sha256(json.dumps(dict(options), sort_keys=True).encode() + b"\0")
    with file.open("rb") as source:
        while block := source.read(READ_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _print(result: Result, headed: bool) -> None:
    if not result.text:
        return
    if headed:
        sys.stdout.write(f"==> {printable(result.file.name)} <==\n")
    sys.stdout.write(result.text.decode("utf-8"))
    if not result.text.endswith(b"\n"):
        sys.stdout.write("\n")

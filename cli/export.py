"""`palimpsest export ID`: a transcript as subtitles, text or JSON.

In: a job's id and a format. Out: a file, or standard output. Must not know how a format is made: the server renders.
"""

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from cli.client import Client
from cli.connection import add_server_options, server_from

FORMATS = ("txt", "srt", "vtt", "json")
EXAMPLES = """examples:
  palimpsest export 7f0c… --format srt -o call.srt
  palimpsest export 7f0c… --format json | python3 -m json.tool
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a transcript as srt, vtt, txt or json",
        description="Writes the transcript as it stands now, corrections and speaker names included.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("id", metavar="ID", help="the job's id, as `palimpsest jobs` shows it")
    parser.add_argument("--format", choices=FORMATS, help="form of the transcript (default: by FILE's ending, or txt)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to FILE instead of standard output")
    add_server_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Always 0; whatever else raises."""
    output: Path | None = arguments.output
    form = arguments.format or _form_of(output)
    with closing(Client(server_from(arguments, os.environ))) as client:
        text = client.transcript(arguments.id, form)
    if output is None:
        sys.stdout.write(text.decode("utf-8"))
    else:
        write_transcript(output, text)
    return 0


def _form_of(output: Path | None) -> str:
    ending = output.suffix.removeprefix(".").lower() if output else ""
    return ending if ending in FORMATS else "txt"


def write_transcript(target: Path, text: bytes) -> None:
    """Writes whole or not at all: a full disk must not leave half a transcript under its final name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.part")
    half.write_bytes(text)
    half.replace(target)

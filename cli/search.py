"""`palimpsest search QUERY`: the moment something was said.

In: words and filters. Out: one line a hit, the found words in bold. Must not know how the index works.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from cli.client import Client
from cli.connection import add_server_options, server_from
from cli.text import highlighted, moment, printable

DEFAULT_LIMIT = 20
EXAMPLES = """examples:
  palimpsest search invoice
  palimpsest search '"next tuesday"' --speaker Anna --from 2026-11-01
  palimpsest search 'kafk*' --language de --json
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "search",
        help="find the moment something was said",
        description='Finds words, "phrases" and beginnings of words (kafk*) in every transcript as it stands now.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "query", metavar="QUERY", help='words that must all be there; "a phrase", begin*, | for or, - for not'
    )
    parser.add_argument("--job", metavar="ID", help="only in this job")
    parser.add_argument("--speaker", metavar="NAME", help="only what this speaker said")
    parser.add_argument("--language", metavar="CODE", help="only in this language")
    parser.add_argument("--from", dest="from_", metavar="DATE", help="only jobs from this day on (2026-11-01)")
    parser.add_argument("--to", metavar="DATE", help="only jobs made before this day")
    parser.add_argument("--limit", type=int, default=DEFAULT_LIMIT, metavar="N", help=f"default: {DEFAULT_LIMIT}")
    parser.add_argument("--json", action="store_true", help="the server's answer as it is")
    add_server_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """0, also where nothing was found."""
    query = {
        "q": arguments.query,
        "job": arguments.job,
        "speaker": arguments.speaker,
        "language": arguments.language,
        "from": arguments.from_,
        "to": arguments.to,
        "limit": arguments.limit,
    }
    with closing(Client(server_from(arguments, os.environ))) as client:
        page = client.search(query)
    if arguments.json:
        print(json.dumps(page, indent=2, ensure_ascii=False))
        return 0
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for hit in page["items"]:
        print(line(hit, colour))
    sys.stderr.write(_count(page) + "\n")
    return 0


def line(hit: Mapping[str, Any], colour: bool) -> str:
    """Moment, speaker and words of a hit, then where it is."""
    speaker = f"{printable(hit['speaker'])}: " if hit["speaker"] else ""
    where = printable(hit["file_name"] or "")
    return f"{moment(hit['moment'])}  {speaker}{highlighted(hit['highlight'], colour)}  [{where} {hit['job_id']}]"


def _count(page: Mapping[str, Any]) -> str:
    shown, total = len(page["items"]), page["total"]
    return "nothing found" if not total else f"{shown} of {total} found"

"""`palimpsest jobs`, `cancel`, `retry`, `delete`: what the server holds, and what to do with it.

In: ids and filters. Out: tables for a person, JSON for a script. Must not know how a job runs.
"""

import argparse
import json
import os
import sys
from contextlib import closing

from cli.client import Client, Document
from cli.connection import add_server_options, server_from
from cli.errors import CommandError, Exit
from cli.text import moment, printable, table
from cli.transcribe import ending

DEFAULT_LIMIT = 20
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")
EXAMPLES = """examples:
  palimpsest jobs
  palimpsest jobs --status failed --limit 100
  palimpsest jobs 7f0c… --json
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the four commands."""
    parser = subparsers.add_parser(
        "jobs",
        help="list the newest jobs, or show one",
        description="Lists the newest jobs; with an id, shows one whole.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_jobs)
    parser.add_argument("id", nargs="?", metavar="ID", help="show this job")
    parser.add_argument("--status", choices=STATUSES, help="only jobs in this state")
    parser.add_argument("--limit", type=int, default=DEFAULT_LIMIT, metavar="N", help=f"default: {DEFAULT_LIMIT}")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_server_options(parser)
    for name, run, sentence in (
        ("cancel", run_cancel, "stop a job that has not ended"),
        ("retry", run_retry, "run again what failed in a job"),
    ):
        _add_one(subparsers, name, sentence).set_defaults(run=run)
    delete = _add_one(subparsers, "delete", "erase a job: its audio, transcript, history and index entries")
    delete.set_defaults(run=run_delete)
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_one(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, sentence: str
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
    parser.add_argument("id", metavar="ID", help="the job's id, as `palimpsest jobs` shows it")
    add_server_options(parser)
    return parser


def run_jobs(arguments: argparse.Namespace) -> int:
    """0, whatever the jobs' states are."""
    with closing(Client(server_from(arguments, os.environ))) as client:
        if arguments.id:
            job = client.job(arguments.id)
            print(json.dumps(job, indent=2, ensure_ascii=False) if arguments.json else card(job))
            return 0
        found = client.jobs(arguments.limit, arguments.status)
    print(json.dumps(found, indent=2, ensure_ascii=False) if arguments.json else listing(found))
    return 0


def listing(found: list[Document]) -> str:
    """Jobs as a table."""
    header = ("ID", "STATUS", "DONE", "LENGTH", "LANGUAGE", "SPEAKERS", "CREATED", "FILE")
    return table(header, [_row(job) for job in found])


def _row(job: Document) -> tuple[object, ...]:
    return (
        job["id"],
        job["status"],
        f"{job['progress']:.0%}",
        moment(job["duration_seconds"]),
        job["language"],
        len(job["speakers"]),
        job["created_at"][:19],
        job["file_name"],
    )


def card(job: Document) -> str:
    """One job as lines."""
    speakers = ", ".join(f"{s['name'] or s['label']} ({moment(s['speech_seconds'])})" for s in job["speakers"])
    shown = {
        "job": job["id"],
        "file": job["file_name"],
        "status": f"{job['status']}, {job['stage']}, {job['progress']:.0%}",
        "failure": ending(job) if job["failure"] else None,
        "length": moment(job["duration_seconds"]),
        "language": job["language"],
        "speakers": speakers or None,
        "segments": f"{job['segment_count']} of {job['word_count']} words" if job["status"] == "completed" else None,
        "gaps": ", ".join(f"{moment(g['start'])}-{moment(g['end'])} ({g['code']})" for g in job["gaps"]) or None,
        "notes": "; ".join(warning["message"] for warning in job["warnings"]) or None,
        "so far": job["partial_text"],
        "created": job["created_at"],
    }
    return "\n".join(f"{name:<10}{printable(value)}" for name, value in shown.items() if value is not None)


def run_cancel(arguments: argparse.Namespace) -> int:
    """Raises CommandError where the job has ended."""
    with closing(Client(server_from(arguments, os.environ))) as client:
        job = client.cancel(arguments.id)
    print(f"{arguments.id} {printable(job.get('status', 'will be cancelled'))}")
    return 0


def run_retry(arguments: argparse.Namespace) -> int:
    """Raises CommandError where nothing failed."""
    with closing(Client(server_from(arguments, os.environ))) as client:
        job = client.retry(arguments.id)
    print(f"{arguments.id} {printable(job.get('status', 'will be retried'))}")
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    """Asks first: nothing brings an erased job back."""
    if not arguments.yes:
        _confirm(arguments.id)
    with closing(Client(server_from(arguments, os.environ))) as client:
        client.delete(arguments.id)
    print(f"{arguments.id} erased")
    return 0


def _confirm(job_id: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("Nobody is there to confirm; add --yes to erase without asking.", Exit.USAGE)
    answer = input(f"Erase job {job_id} with its audio, transcript and history for ever? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was erased.")

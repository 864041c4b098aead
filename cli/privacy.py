"""`palimpsest erasure-report`, `access-export` and `retention`: what people may ask about what is kept of them.

In: the parser. Out: commands that load what they need only when they run. Must not know how anything is done.
"""

import argparse

from cli.operators import LOCAL_TENANT


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the three commands."""
    _report(subparsers)
    _export(subparsers)
    _retention(subparsers)


def _report(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "erasure-report",
        help="what was erased of a job, where and when, and what is still to come",
        description="Looks for an erased job in every place: counts rows, lists objects and documents, scans the log.",
        epilog="Exit status: 0 all gone but what goes by age, 1 something is there after its time, "
        "5 no such erasure, 6 something is still to come.",
    )
    parser.add_argument("job", metavar="JOB", help="its id")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=_run_report)


def _export(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "access-export",
        help="everything held about a job or a tenant, as a zip",
        description="Writes requests, facts in all versions with their authors, rows and recordings into a zip file.",
    )
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--job", metavar="JOB", help="one job, by its id")
    whose.add_argument("--tenant", metavar="TENANT", help="all jobs of a tenant, and the tenant itself")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.zip", help="where to; must not be there yet")
    parser.set_defaults(run=_run_export)


def _retention(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "retention", help="how long tenants keep recordings", description="How long tenants keep what they have."
    )
    inner = parser.add_subparsers(required=True, metavar="ACTION")
    shown = inner.add_parser("show", help="of every tenant that has one", description="Of every tenant that has one.")
    shown.set_defaults(run=_run_show)
    made = inner.add_parser(
        "set",
        help="set both for a tenant",
        description="Sets both for a tenant. What is not given is kept for ever. Days count from the upload.",
    )
    made.add_argument("--tenant", default=LOCAL_TENANT, help=f"whose (default: {LOCAL_TENANT})")
    made.add_argument("--audio-days", type=_days, metavar="N", help="recordings are deleted after N days")
    made.add_argument("--transcript-days", type=_days, metavar="N", help="jobs are erased after N days")
    made.set_defaults(run=_run_set)


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number of days, 1 or more")
    return int(text)


def _run_report(arguments: argparse.Namespace) -> int:
    from cli.erasures import run_report

    return run_report(arguments)


def _run_export(arguments: argparse.Namespace) -> int:
    from cli.access import run_export

    return run_export(arguments)


def _run_show(arguments: argparse.Namespace) -> int:
    from cli.retention import run_show

    return run_show(arguments)


def _run_set(arguments: argparse.Namespace) -> int:
    from cli.retention import run_set

    return run_set(arguments)

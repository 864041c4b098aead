"""The operator commands: which there are, and what they take.

In: the parser. Out: commands that load what they need only when they run, so that `palimpsest search` does not wait
for the drivers of Kafka and PostgreSQL. Must not know how anything is done.
"""

import argparse
from collections.abc import Callable, Mapping

DEAD_LETTERS_LIMIT = 50
# The tenant whose key the local stack makes.
LOCAL_TENANT = "local"
Run = Callable[[argparse.Namespace], int]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds every operator command outside the local stack's."""
    _family(
        subparsers,
        "topics",
        "Kafka topics",
        {"apply": (_topics_apply, "create the missing topics; refuse a change of partitions")},
    )
    _family(
        subparsers,
        "schemas",
        "Avro schemas in the registry",
        {
            "check": (_schemas_check, "say what would break readers or writers of any registered version"),
            "register": (_schemas_register, "register every record's schema under FULL_TRANSITIVE"),
        },
    )
    _family(subparsers, "schema", "PostgreSQL tables", {"apply": (_schema_apply, "create the missing tables")})
    _keys(subparsers)
    _dead_letters(subparsers)
    _rebuild(subparsers)


def _rebuild(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "rebuild",
        help="make views again from the log, while everything runs",
        description="Makes a view again beside the live one and switches; the old one stays for a day as a way back. "
        "Stopped or killed, the same command goes on where it was.",
    )
    parser.add_argument("projection", nargs="?", metavar="PROJECTION", help="jobs, transcripts, history, search or all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--back", action="store_true", help="make the old version live again")
    what.add_argument("--abandon", action="store_true", help="drop what an interrupted rebuild has made")
    what.add_argument("--drop-old", action="store_true", help="drop the old version now instead of after a day")
    what.add_argument("--status", action="store_true", help="show the versions of every view")
    what.add_argument("--hash", action="store_true", help="show them with count and hash of their content; reads all")
    parser.set_defaults(run=_run_rebuild)


def _run_rebuild(arguments: argparse.Namespace) -> int:
    from cli.rebuild import run_rebuild

    return run_rebuild(arguments)


def _family(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    title: str,
    actions: Mapping[str, tuple[Run, str]],
) -> dict[str, argparse.ArgumentParser]:
    parser = subparsers.add_parser(name, help=title, description=f"{title}.")
    inner = parser.add_subparsers(required=True, metavar="ACTION")
    made = {}
    for action, (run, sentence) in actions.items():
        made[action] = inner.add_parser(action, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        made[action].set_defaults(run=run)
    return made


def _keys(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = _family(
        subparsers,
        "keys",
        "API keys",
        {
            "create": (_keys_create, "make a key and print it, once"),
            "list": (_keys_list, "show a tenant's keys, also revoked ones"),
            "revoke": (_keys_revoke, "end a key everywhere within five seconds"),
        },
    )
    for action in ("create", "list"):
        made[action].add_argument("--tenant", default=LOCAL_TENANT, help=f"whose (default: {LOCAL_TENANT})")
    made["create"].add_argument("--name", required=True, help="what it is for, such as the program that will use it")
    made["revoke"].add_argument("key_id", metavar="KEY", help="its id, as `list` shows it: eight characters")


def _dead_letters(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = _family(
        subparsers,
        "dead-letters",
        "records that could not be processed",
        {
            "list": (_dead_letters_list, "show the newest ones as a table"),
            "show": (_dead_letters_show, "show one whole: headers and content"),
            "redrive": (
                _dead_letters_redrive,
                "send records to where they came from, or say why that cannot help",
            ),
            "discard": (_dead_letters_discard, "mark as dealt with, so that they are listed no more"),
        },
    )
    for parser in (made["list"], made["redrive"], made["discard"]):
        parser.add_argument("--topic", default="", help="only those from this topic")
        parser.add_argument("--cause", default="", help="only those with this cause, such as engine_crashed")
        parser.add_argument("--job", default="", metavar="ID", help="only those of this job")
        parser.add_argument("--json", action="store_true", help="as JSON")
    made["list"].add_argument("--all", action="store_true", help="also those that were redriven or discarded")
    for parser in (made["redrive"], made["discard"]):
        parser.add_argument(
            "places", type=_place, nargs="*", metavar="PARTITION/OFFSET", help="their places, as `list` shows them"
        )
        parser.add_argument("--all", action="store_true", help="all that were not dealt with")
        parser.add_argument("--yes", action="store_true", help="do it; without it, all that match are only shown")
        parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    made["redrive"].add_argument(
        "--force", action="store_true", help="also where it cannot help; never for an erased job"
    )
    made["list"].add_argument(
        "--limit", type=int, default=DEAD_LETTERS_LIMIT, metavar="N", help=f"default: {DEAD_LETTERS_LIMIT}"
    )
    made["show"].add_argument("place", type=_place, metavar="PARTITION/OFFSET", help="its place, as `list` shows it")


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise argparse.ArgumentTypeError("must be a partition and an offset, such as 2/17")
    return int(partition), int(offset)


def _topics_apply(arguments: argparse.Namespace) -> int:
    from cli.contract import run_topics

    return run_topics(arguments)


def _schemas_check(arguments: argparse.Namespace) -> int:
    from cli.contract import run_check

    return run_check(arguments)


def _schemas_register(arguments: argparse.Namespace) -> int:
    from cli.contract import run_register

    return run_register(arguments)


def _schema_apply(arguments: argparse.Namespace) -> int:
    from cli.contract import run_tables

    return run_tables(arguments)


def _keys_create(arguments: argparse.Namespace) -> int:
    from cli.keys import run_create

    return run_create(arguments)


def _keys_list(arguments: argparse.Namespace) -> int:
    from cli.keys import run_list

    return run_list(arguments)


def _keys_revoke(arguments: argparse.Namespace) -> int:
    from cli.keys import run_revoke

    return run_revoke(arguments)


def _dead_letters_list(arguments: argparse.Namespace) -> int:
    from cli.dead_letters import run_list

    return run_list(arguments)


def _dead_letters_show(arguments: argparse.Namespace) -> int:
    from cli.dead_letters import run_show

    return run_show(arguments)


def _dead_letters_redrive(arguments: argparse.Namespace) -> int:
    from cli.redrive import run_redrive

    return run_redrive(arguments)


def _dead_letters_discard(arguments: argparse.Namespace) -> int:
    from cli.redrive import run_discard

    return run_discard(arguments)

"""`palimpsest dead-letters redrive|discard`: dead letters dealt with, one by one or all that match.

In: places or filters, the dead-letter topic, the views and the object store. Out: the original record on the topic it
came from with the same event id and one more redrive, and a marker that hides the letter from `list`.
A letter whose job was erased is never sent again; one that cannot help is, when `--force` says so.
"""

import argparse
import getpass
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from cli.connection import operator_settings
from cli.dead_letters import letter_at, wanted
from cli.errors import CommandError, Exit
from cli.letters import Letter, collect, letter_of, marker, original
from cli.prospects import ERASED, hopeless
from cli.text import printable
from projections.jobs.standing import Standing, standings
from runtime.errors import ObjectMissing
from runtime.kafka import EventProducer, Incoming
from runtime.objects import ObjectStore
from runtime.postgres import connection
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from schemas.codec import Codec, UndecodableRecord
from schemas.topics import BY_NAME, DEAD_LETTERS

REDRIVEN = "redriven"
DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a letter: `action` is redriven, discarded or kept; `why` says why it is kept."""

    place: str
    topic: str
    job: str
    type: str
    action: str
    why: str = ""


def run_redrive(arguments: argparse.Namespace) -> int:
    """1 where a letter could not be sent again."""
    settings = operator_settings(os.environ)
    judge = Judge(settings, force=arguments.force)
    return _deal_with(settings, arguments, REDRIVEN, judge)


def run_discard(arguments: argparse.Namespace) -> int:
    """0, also where nothing matched."""
    return _deal_with(operator_settings(os.environ), arguments, DISCARDED, None)


class Judge:
    """Knows whether a letter may be sent again."""

    def __init__(self, settings: Settings, *, force: bool) -> None:
        self._dsn = settings.postgres_dsn
        self._codec = Codec(Registry(settings.registry_url, wait=False))
        self._objects = ObjectStore(settings.objects)
        self._force = force

    def objection(self, record: Incoming) -> str:
        """Why not; empty where nothing speaks against it."""
        letter = letter_of(record)
        if letter.why.get("topic") not in BY_NAME or not letter.why.get("partition", "").isdigit():
            return "it does not say where it came from"
        job = self._standing(letter.job_id)
        if job is not None and job.status == ERASED:
            return "the job was erased"
        return "" if self._force else self._hopeless(record, job)

    def _hopeless(self, record: Incoming, job: Standing | None) -> str:
        try:
            decoded = self._codec.decode(record.value or b"")
        except UndecodableRecord as error:
            return f"it still cannot be read ({error})"
        return hopeless(decoded, job, self._stored).replace("{id}", decoded.job_id)

    def _standing(self, job_id: str) -> Standing | None:
        with connection(self._dsn) as conn:
            return standings(conn, [job_id]).get(job_id)

    def _stored(self, key: str) -> bool:
        try:
            self._objects.size(key)
        except ObjectMissing:
            return False
        return True


def _deal_with(settings: Settings, arguments: argparse.Namespace, action: str, judge: Judge | None) -> int:
    # Many at once are only done when that is confirmed; without it the command says what it would do.
    dry = arguments.dry_run or not (arguments.places or arguments.yes)
    producer = None if dry else EventProducer(settings.kafka)
    verdicts = []
    for record in _chosen(settings, arguments):
        why = judge.objection(record) if judge else ""
        letter = letter_of(record)
        if not why and producer is not None:
            _settle(producer, record, letter, action)
        verdicts.append(_verdict(letter, "kept" if why else action, why))
    _show(verdicts, arguments, dry=dry)
    return Exit.FAILED if any(verdict.why for verdict in verdicts) else Exit.DONE


def _chosen(settings: Settings, arguments: argparse.Namespace) -> Iterator[Incoming]:
    """The letters that are meant, with their content, oldest first in each partition."""
    which = wanted(arguments, settled_too=bool(arguments.places))
    if not (arguments.places or arguments.all or which.topic or which.cause or which.job):
        raise CommandError("Name places, or choose with --all, --topic, --cause or --job.", Exit.USAGE)
    if arguments.places:
        for partition, offset in arguments.places:
            yield letter_at(settings, partition, offset)
        return
    places = {letter.place for letter in collect(read_topic(settings.kafka, DEAD_LETTERS)) if which.has(letter)}
    for record in read_topic(settings.kafka, DEAD_LETTERS) if places else ():
        if f"{record.partition}/{record.offset}" in places:
            yield record


def _settle(producer: EventProducer, record: Incoming, letter: Letter, action: str) -> None:
    """Sends the record first: a stop in between sends it once more, which its redrive count makes harmless."""
    if action == REDRIVEN:
        producer.send(original(record))
        producer.flush()
    producer.send(marker(letter, action, getpass.getuser()))
    producer.flush()


def _verdict(letter: Letter, action: str, why: str) -> Verdict:
    topic = letter.why.get("topic", "")
    return Verdict(place=letter.place, topic=topic, job=letter.key, type=letter.kind, action=action, why=why)


def _show(verdicts: Sequence[Verdict], arguments: argparse.Namespace, *, dry: bool) -> None:
    if arguments.json:
        print(json.dumps({"dry_run": dry, "letters": [asdict(verdict) for verdict in verdicts]}, indent=2))
        return
    for verdict in verdicts:
        would = "would be " if dry and not verdict.why else ""
        line = f"{verdict.place}  {verdict.topic}  {verdict.job}  {would}{verdict.action}"
        print(printable(f"{line}: {verdict.why}" if verdict.why else line))
    if not verdicts:
        print("no dead letters")
    elif dry and not arguments.dry_run:
        print("nothing was done: add --yes to do it")

"""Records what today's code writes and makes of it, as a file of `recorded/`: `python -m tests.histories.record NAME`.

In: the name of a release; the engines of the tests. Out: a new file, or with `--expected-only` the same frames with
what today's code makes of them.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import psycopg

from local.stack import Stack
from local.workspace import fresh_workspace
from projections.search.indexer import Indexer
from runtime.opensearch import SearchEngine
from runtime.postgres import Connection
from runtime.settings import Settings
from tests.conftest import TEST_HOME, TEST_PORT_BASE
from tests.histories.recorded_files import FOLDER, Recorded, RecordedSchemas, all_recorded, frames_of
from tests.histories.shown import shown
from tests.histories.stories import stories


def main() -> None:
    """Refuses to write over a file, unless only what is expected changes."""
    parser = argparse.ArgumentParser(description="Records the histories of a release.")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--expected-only", action="store_true")
    arguments = parser.parse_args()
    path = FOLDER / f"{arguments.name}.json"
    if path.exists() != arguments.expected_only:
        parser.error(f"{path} {'is there already' if path.exists() else 'is not there'}")
    jobs = [job for job in all_recorded() if job.release == arguments.name] if path.exists() else _today(arguments.name)
    stack = Stack(TEST_HOME, TEST_PORT_BASE)
    stack.start_engines()
    with fresh_workspace(stack.shared_settings()) as workspace:
        content = _content(jobs, workspace)
    FOLDER.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _today(release: str) -> list[Recorded]:
    schemas = RecordedSchemas.of_today()
    return [
        Recorded(release=release, kind=kind, schemas=schemas, frames=frames_of(history, schemas), expected={})
        for kind, history in stories().items()
    ]


def _content(jobs: list[Recorded], workspace: Mapping[str, str]) -> dict[str, Any]:
    settings = Settings.read(workspace)
    indexer = Indexer(SearchEngine(settings.opensearch), settings.postgres_dsn)
    connection: Connection
    with psycopg.connect(settings.postgres_dsn) as connection:
        made = {job.kind: {"frames": job.frames, "expected": shown(connection, indexer, job.facts())} for job in jobs}
    return {"schemas": dict(jobs[0].schemas.texts), "jobs": made}


if __name__ == "__main__":
    main()

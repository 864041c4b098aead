"""The files of recorded histories: frames, the schemas they were written with, and what was expected of them.

In: a file, or what goes into one. Out: records by today's codec, or JSON.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.codec import Codec, UnknownSchemaId, record_names, schema_text
from schemas.records import Fact, TranscriptRecord
from tests.histories.stories import History

FOLDER = Path(__file__).parent / "recorded"


class RecordedSchemas:
    """Schema ids of one file."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    @classmethod
    def of_today(cls) -> "RecordedSchemas":
        """Today's schemas, numbered."""
        return cls({str(number): schema_text(name) for number, name in enumerate(record_names(), 1)})

    @property
    def texts(self) -> Mapping[str, str]:
        """Schemas by id."""
        return self._texts

    def id_of(self, name: str) -> int:
        """Id of a record's schema."""
        return next(int(number) for number, text in self._texts.items() if json.loads(text)["name"] == name)

    def schema_of(self, schema_id: int) -> str:
        """Schema of an id; raises UnknownSchemaId."""
        try:
            return self._texts[str(schema_id)]
        except KeyError as error:
            raise UnknownSchemaId(str(schema_id)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One job of one release."""

    release: str
    kind: str
    schemas: RecordedSchemas
    frames: list[dict[str, str | None]]
    expected: dict[str, Any]

    def facts(self) -> list[TranscriptRecord]:
        """The facts as a new consumer reads them, tombstones skipped; raises UndecodableRecord."""
        codec = Codec(self.schemas)
        found: list[TranscriptRecord] = []
        for frame in self.frames:
            if (value := frame["value"]) is not None:
                fact = codec.decode(base64.b64decode(value))
                assert isinstance(fact, Fact)
                found.append(fact)
        return found


def frames_of(history: History, schemas: RecordedSchemas) -> list[dict[str, str | None]]:
    """The records of a job, as they stand on the log."""
    codec = Codec(schemas)
    return [
        {"seq": str(seq), "value": None if fact is None else base64.b64encode(codec.encode(fact)).decode()}
        for seq, fact in history
    ]


def all_recorded() -> list[Recorded]:
    """Every job of every file."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        schemas = RecordedSchemas(content["schemas"])
        found += [
            Recorded(release=path.stem, kind=kind, schemas=schemas, frames=job["frames"], expected=job["expected"])
            for kind, job in content["jobs"].items()
        ]
    return found

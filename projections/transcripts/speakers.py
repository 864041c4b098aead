"""Who is who in one recording: names over labels, and merges resolved.

In: the speaker rows of a job. Out: `Speakers`, which answers for any speaker id of a segment or word.
Knows no database. A row is one of three kinds, as `transcripts/queries.sql` reads them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from projections.transcripts.views import SpeakerView
from schemas.values import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerRow:
    """What one fact says of a speaker: a label with speech time, a name, or whom they were merged into."""

    job_id: str
    kind: Literal["label", "name", "merge"]
    speaker_id: str
    text: str | None
    speech_ms: int
    seq: int


class Speakers:
    """The speakers of one job."""

    def __init__(self, rows: Iterable[SpeakerRow]) -> None:
        self._labels: dict[str, SpeakerRow] = {}
        self._names: dict[str, SpeakerRow] = {}
        self._merges: dict[str, SpeakerRow] = {}
        tables = {"label": self._labels, "name": self._names, "merge": self._merges}
        for row in rows:
            tables[row.kind][row.speaker_id] = row

    def resolved(self, speaker_id: str | None) -> str | None:
        """The speaker that stands for this one today."""
        return self._chain(speaker_id)[-1] if speaker_id is not None else None

    def display(self, speaker_id: str | None) -> str | None:
        """The name to show."""
        resolved = self.resolved(speaker_id)
        return self._view(resolved).display if resolved is not None else None

    @property
    def version(self) -> int:
        """The greatest seq of any row, so that it never falls, whomever a segment comes to belong to."""
        tables = (self._labels, self._names, self._merges)
        return max((row.seq for table in tables for row in table.values()), default=0)

    def views(self) -> tuple[SpeakerView, ...]:
        """The speakers that stand, in the order of their numbers."""
        standing = {self._chain(known)[-1] for known in (*self._labels, *self._merges)}
        return tuple(self._view(one) for one in sorted(standing, key=_natural))

    def words(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Words with their speakers resolved."""
        if not self._merges:
            return tuple(words)
        return tuple(replace(word, speaker_id=self.resolved(word.speaker_id)) for word in words)

    def _chain(self, speaker_id: str) -> list[str]:
        chain = [speaker_id]
        while merge := self._merges.get(chain[-1]):
            # A circle cannot come from the assembler; should one exist, its first link that repeats ends it.
            if merge.text is None or merge.text in chain:
                break
            chain.append(merge.text)
        return chain

    def _view(self, speaker_id: str) -> SpeakerView:
        label = self._labels.get(speaker_id)
        name = self._names.get(speaker_id)
        speech_ms = sum(row.speech_ms for one, row in self._labels.items() if self._chain(one)[-1] == speaker_id)
        return SpeakerView(
            speaker_id=speaker_id,
            label=(label.text if label else None) or speaker_id,
            name=name.text if name else None,
            speech_ms=speech_ms,
        )


def _natural(speaker_id: str) -> tuple[int, str]:
    digits = speaker_id.removeprefix("spk")
    return (int(digits) if digits.isascii() and digits.isdigit() else 0, speaker_id)

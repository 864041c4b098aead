"""OpenSearch: indices, aliases, bulk writes and searches.

In: documents with versions. Out: acknowledged writes; a version conflict means that a newer one is there: success.
Knows no document's shape and builds no query: `projections.search` does.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import NotFoundError, TransportError

from runtime import settings
from runtime.errors import Unavailable
from runtime.faults import crash_point

REQUEST_TIMEOUT_S = 30.0
RETRIES = 2
MERGE_TIMEOUT_S = 3_600
_OK = frozenset({200, 201, 409})
_BAD_DOCUMENT = 400
# Says that the index is of another shape than the program, not that a document is bad.
_OTHER_SHAPE = "strict_dynamic_mapping_exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document, whole; `version` decides which of two writes stays."""

    id: str
    version: int
    routing: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A document that the engine will never take as it is; the reason is a kind of error, without its text."""

    id: str
    reason: str


class SearchEngine:
    """A client of one engine; safe to share between threads."""

    def __init__(
        self, search: settings.OpenSearch, timeout_s: float = REQUEST_TIMEOUT_S, retries: int = RETRIES
    ) -> None:
        """No call lasts longer than `timeout_s` for the first try and each of `retries`."""
        self._prefix = search.index_prefix
        self._client = OpenSearch(search.url, timeout=timeout_s, max_retries=retries, retry_on_timeout=True)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def name(self, index: str) -> str:
        """Full name of an index or alias."""
        return self._prefix + index

    def create_index(self, index: str, body: Mapping[str, Any], alias: str) -> None:
        """Creates an index and points the alias at it where there is none."""
        try:
            if not self._client.indices.exists(index=self.name(index)):
                self._create(index, body)
            if not self._client.indices.exists_alias(name=self.name(alias)):
                with crash_point("index.alias"):
                    self._client.indices.put_alias(index=self.name(index), name=self.name(alias))
        except TransportError as error:
            raise Unavailable(f"OpenSearch: {_kind(error)}") from error

    def _create(self, index: str, body: Mapping[str, Any]) -> None:
        """An attempt that timed out may have succeeded, and the client's next one finds the index; so may another's."""
        try:
            with crash_point("index.create"):
                self._client.indices.create(index=self.name(index), body=dict(body))
        except TransportError as error:
            if "resource_already_exists" not in str(error):
                raise

    def alias_target(self, alias: str) -> str | None:
        """The index that an alias stands for, without prefix; None where there is no such alias."""
        try:
            found = self._guarded(lambda: self._client.indices.get_alias(name=self.name(alias)))
        except NotFoundError:
            return None
        return next((name.removeprefix(self._prefix) for name in found), None)

    def exists(self, index: str) -> bool:
        """Whether there is such an index or alias."""
        return bool(self._guarded(lambda: self._client.indices.exists(index=self.name(index))))

    def indices(self, pattern: str) -> Sequence[str]:
        """Indices whose names, or whose aliases, fit a pattern, without prefix."""
        found = self._guarded(lambda: self._client.indices.get_alias(index=self.name(pattern)))
        return sorted(name.removeprefix(self._prefix) for name in found)

    def move_alias(self, alias: str, before: str | None, index: str) -> None:
        """The alias stands for this index and no longer for the one before, in one step: no search falls between."""
        actions: list[Mapping[str, Any]] = [{"add": {"index": self.name(index), "alias": self.name(alias)}}]
        if before is not None and before != index:
            actions.append({"remove": {"index": self.name(before), "alias": self.name(alias)}})
        self._guarded(lambda: self._client.indices.update_aliases(body={"actions": actions}))

    def put_alias(self, alias: str, index: str) -> None:
        """One more name for an index."""
        self._guarded(lambda: self._client.indices.put_alias(index=self.name(index), name=self.name(alias)))

    def change_settings(self, index: str, changed: Mapping[str, Any]) -> None:
        """Changes settings of an index; a value of None brings the default back."""
        self._guarded(lambda: self._client.indices.put_settings(index=self.name(index), body=dict(changed)))

    def delete_index(self, index: str) -> None:
        """Removes an index, if it is there."""
        with suppress(NotFoundError):
            self._guarded(lambda: self._client.indices.delete(index=self.name(index)))

    def refresh(self, index: str) -> None:
        """Makes what was written findable now."""
        self._guarded(lambda: self._client.indices.refresh(index=self.name(index)))

    def write(self, alias: str, documents: Sequence[Document], refresh: bool = False) -> Sequence[Refusal]:
        """Writes documents whole, newest version wins; those that are refused for good.

        Raises Unavailable if any was not taken for another reason: a full disk, a busy engine, an index of other shape.

        The name must be an alias: writing to a deleted index would make a new one without our mappings.
        """
        if not documents:
            return ()
        lines: list[Mapping[str, Any]] = []
        for document in documents:
            action = {
                "_id": document.id,
                "version": document.version,
                "version_type": "external_gte",
                "routing": document.routing,
            }
            lines += [{"index": action}, document.body]
        body = msgspec.json.Encoder().encode_lines(lines)
        answer = self._guarded(
            lambda: self._client.bulk(
                body=body,
                index=self.name(alias),
                params={"refresh": str(refresh).lower(), "require_alias": "true"},
            )
        )
        failed = [item["index"] for item in answer["items"] if item["index"]["status"] not in _OK]
        # The reason quotes the document: only its kind is told.
        kinds = [(item["_id"], item["status"], item.get("error", {}).get("type", "no reason")) for item in failed]
        waiting = [f"status {status}, {kind}" for _, status, kind in kinds if not _refused(status, kind)]
        if waiting:
            raise Unavailable(f"OpenSearch took {len(documents) - len(failed)} of {len(documents)}: {waiting[0]}")
        return [Refusal(id=name, reason=kind) for name, _, kind in kinds]

    def search(self, index: str, body: Mapping[str, Any], routing: str | None = None) -> Mapping[str, Any]:
        """The engine's answer to a query built by code; an index that is not there yet raises Unavailable."""
        extra = {"routing": routing} if routing else {}
        try:
            answer: Mapping[str, Any] = self._guarded(
                lambda: self._client.search(index=self.name(index), body=dict(body), params=extra)
            )
        except NotFoundError as error:
            raise Unavailable(f"OpenSearch: {_kind(error)}") from error
        return answer

    def count(self, index: str) -> int:
        """Documents in an index."""
        return int(self._guarded(lambda: self._client.count(index=self.name(index)))["count"])

    def bytes_of(self, index: str) -> int:
        """Size of an index or alias on the disk; 0 where there is none."""
        try:
            answer = self._guarded(lambda: self._client.indices.stats(index=self.name(index), metric="store"))
        except NotFoundError:
            return 0
        return int(answer["_all"]["primaries"].get("store", {}).get("size_in_bytes", 0))

    def expunge(self, index: str) -> None:
        """Rewrites the segments that hold replaced or deleted documents, without these.

        The engine keeps what was replaced until its copies have acknowledged it, which it looks at every 30 s.
        """
        name = self.name(index)
        with suppress(NotFoundError):
            self._guarded(lambda: self._client.indices.flush(index=name))
            extra = {"only_expunge_deletes": "true", "flush": "true"}
            self._guarded(
                lambda: self._client.indices.forcemerge(index=name, params=extra, request_timeout=MERGE_TIMEOUT_S)
            )

    def reachable(self) -> bool:
        """Whether the engine answers now."""
        return bool(self._client.ping())

    def _guarded(self, call: Any) -> Any:
        try:
            return call()
        except (NoConnection, TransportError) as error:
            if isinstance(error, NotFoundError):
                raise
            raise Unavailable(f"OpenSearch: {_kind(error)}") from error


def _refused(status: int, kind: str) -> bool:
    return status == _BAD_DOCUMENT and kind != _OTHER_SHAPE


def _kind(error: TransportError) -> str:
    """Status and type of an error; its text would quote a query or a document."""
    return f"{type(error).__name__} {error.status_code} {error.error if error.status_code != 'N/A' else ''}".strip()

"""The schema registry, over the Confluent-compatible API that Apicurio, Karapace and Confluent's own speak.

In: the `.avsc` files. Out: schema ids and writer schemas for the codec, registration, and a refusal's reasons in words.
A registry that is away is waited for; an id that it does not know is poison (`UnknownSchemaId`).
Production never registers by itself: `palimpsest schemas register` does.
"""

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import avro.schema
import httpx
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from runtime.errors import Unavailable
from runtime.telemetry import logger
from schemas.codec import UnknownSchemaId, full_name, record_names, schema_text

COMPATIBILITY = "FULL_TRANSITIVE"
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_REQUEST_TIMEOUT_S = 4.0
_RETRY_PAUSE_S = 1.0
# Apicurio 3 now and then logs a 404 and never sends it; the same question again is answered.
_ASKED_AT_MOST = 3
_NOT_FOUND = 404
_CONFLICT = 409
# Far more than one system ever registers; what is forgotten is asked for again.
KEPT_SCHEMAS = 1_000

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incompatibility:
    """Why a schema may not follow a registered version of itself."""

    record: str
    version: int
    reason: str

    def __str__(self) -> str:
        return f"{self.record}: against version {self.version}: {self.reason}"


class Registry:
    """A registry client; one per process. Its answers never change, so they are kept."""

    def __init__(self, url: str, *, wait: bool = True) -> None:
        """`wait`: keep trying while the registry is away, as workers do; commands pass False."""
        self._client = httpx.Client(base_url=url, timeout=_REQUEST_TIMEOUT_S, headers={"Accept": _MEDIA_TYPE})
        self._wait = wait
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, str] = {}

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def id_of(self, name: str) -> int:
        """Id of our own version of a record, looked up by exact content."""
        if name not in self._ids:
            answer = self._call("POST", f"/subjects/{full_name(name)}", {"schema": schema_text(name)})
            if answer.status_code == _NOT_FOUND:
                raise UnknownSchemaId(f"{full_name(name)} is not registered in this version; run `schemas register`")
            self._ids[name] = int(answer.json()["id"])
        return self._ids[name]

    def schema_of(self, schema_id: int) -> str:
        """Writer schema of an id; raises UnknownSchemaId."""
        if schema_id not in self._schemas:
            answer = self._call("GET", f"/schemas/ids/{schema_id}")
            if answer.status_code == _NOT_FOUND:
                raise UnknownSchemaId(f"the registry does not know schema {schema_id}")
            if len(self._schemas) >= KEPT_SCHEMAS:
                self._schemas.clear()
            self._schemas[schema_id] = answer.json()["schema"]
        return self._schemas[schema_id]

    def resolve_all(self) -> None:
        """Looks up every record now, so that a missing registration shows at start-up."""
        for name in record_names():
            self.id_of(name)

    def reachable(self) -> bool:
        """Whether the registry answers now."""
        try:
            return not self._client.get("/subjects").is_error
        except httpx.TransportError:
            return False

    def register(self, name: str, text: str) -> int:
        """Registers a schema under FULL_TRANSITIVE; the same content keeps its id."""
        subject = full_name(name)
        answer = self._call(
            "POST",
            f"/subjects/{subject}/versions",
            {"schema": text},
            accept=frozenset({_NOT_FOUND, _CONFLICT, 422}),
        )
        if answer.is_error:
            raise IncompatibleSchema([*self.check(name, text)] or [_worded(name, answer)])
        self._require(subject)
        return int(answer.json()["id"])

    def _require(self, subject: str) -> None:
        """Puts a record under our rule, once: of two that do so at the same moment the registry may refuse both, and
        then whoever was first has done it."""
        if self._rule(subject) == COMPATIBILITY:
            return
        answer = self._call(
            "PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY}, accept=frozenset({_CONFLICT})
        )
        if answer.is_error and (rule := self._rule(subject)) != COMPATIBILITY:
            raise Unavailable(f"the schema registry keeps {subject} under {rule}")

    def _rule(self, subject: str) -> str:
        """Under which rule new versions of a record are taken; empty where it has none of its own."""
        answer = self._call("GET", f"/config/{subject}")
        return "" if answer.status_code == _NOT_FOUND else str(answer.json()["compatibilityLevel"])

    def check(self, name: str, text: str) -> list[Incompatibility]:
        """What in `text` breaks readers of any registered version, or is broken by its writers."""
        found = []
        for version, old in self._versions(full_name(name)):
            for reader, writer, what in (
                (text, old, "new code reading old records"),
                (old, text, "old code reading new records"),
            ):
                if reason := _conflict(reader, writer):
                    found.append(Incompatibility(record=name, version=version, reason=f"{what}: {reason}"))
        return found

    def _versions(self, subject: str) -> list[tuple[int, str]]:
        answer = self._call("GET", f"/subjects/{subject}/versions")
        if answer.status_code == _NOT_FOUND:
            return []
        got = [self._call("GET", f"/subjects/{subject}/versions/{n}").json() for n in answer.json()]
        return [(int(item["version"]), item["schema"]) for item in got]

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        accept: frozenset[int] = frozenset({_NOT_FOUND}),
    ) -> httpx.Response:
        while True:
            try:
                answer = self._asked(method, path, body)
                if not answer.is_error or answer.status_code in accept:
                    return answer
                trouble = f"{answer.status_code} for {path}"
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__} for {path}"
            if not self._wait:
                raise Unavailable(f"the schema registry answered: {trouble}")
            log.warning("the schema registry is away", action="registry.wait", trouble=trouble)
            time.sleep(_RETRY_PAUSE_S)

    def _asked(self, method: str, path: str, body: Any) -> httpx.Response:
        """The answer; asked again where none comes."""
        for _ in range(_ASKED_AT_MOST - 1):
            with suppress(httpx.ReadTimeout):
                return self._client.request(method, path, json=body)
        return self._client.request(method, path, json=body)


class IncompatibleSchema(Exception):
    """A schema breaks the rules under which it is registered; the message has one line for each reason."""

    def __init__(self, reasons: list[Incompatibility]) -> None:
        super().__init__("\n".join(str(reason) for reason in reasons))
        self.reasons = reasons


def _worded(name: str, answer: httpx.Response) -> Incompatibility:
    return Incompatibility(record=name, version=0, reason=answer.text)


def _conflict(reader: str, writer: str) -> str:
    """Empty when `reader` can read what `writer` wrote."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return ""
    kinds = ", ".join(sorted(kind.value.replace("_", " ") for kind in result.incompatibilities))
    where = ", ".join(sorted(result.locations)) or "/"
    return f"{kinds}: {'; '.join(sorted(result.messages))} (at {where})"


def register_all(url: str) -> dict[str, int]:
    """Registers every record's schema; raises IncompatibleSchema before the first refused one is written."""
    with closing(Registry(url, wait=False)) as registry:
        reasons = [reason for name in record_names() for reason in registry.check(name, schema_text(name))]
        if reasons:
            raise IncompatibleSchema(reasons)
        return {name: registry.register(name, schema_text(name)) for name in record_names()}

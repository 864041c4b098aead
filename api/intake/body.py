"""The body of an upload, as it arrives: form fields, and the bytes of one file.

In: pieces of a request's body. Out: the same stream of parts for multipart forms and raw bodies, in constant memory.
Knows nothing of where the bytes go.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from multipart import MultipartError, PushMultipartParser, parse_options_header

from api.intake.names import clean_media_type, clean_name
from api.refusals import invalid
from runtime.errors import Refused

FILE_FIELD = "file"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 16_384
FORM_OVERHEAD_BYTES = 1_048_576
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A whole form field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBegins:
    """The file's bytes follow."""

    file_name: str | None
    media_type: str | None


Part = Field | FileBegins | bytes


async def pieces(receive: Callable[[], Awaitable[Any]]) -> AsyncIterator[bytes]:
    """The body's bytes as they arrive; raises Refused when the client is gone. How slow they may be: `api.pace`."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("upload_stalled", "The connection ended before the body did.")
        if body := message.get("body", b""):
            yield body
        if not message.get("more_body", False):
            return


async def raw_parts(body: AsyncIterator[bytes], begins: FileBegins) -> AsyncIterator[Part]:
    """A body that is the file itself."""
    yield begins
    async for piece in body:
        yield piece


async def form_parts(body: AsyncIterator[bytes], content_type: str) -> AsyncIterator[Part]:
    """A multipart form; raises Refused where it is malformed or has not exactly one file."""
    parser = _parser(content_type)
    form = _Form()
    try:
        async for piece in body:
            for event in parser.parse(piece):
                for part in form.take(event):
                    yield part
        parser.close()
    except MultipartError as error:
        raise Refused("invalid_request", f"The form is malformed: {error}.") from error
    if not form.file_seen:
        raise invalid("body", FILE_FIELD, "The form has no field `file` with a file.")


def _parser(content_type: str) -> PushMultipartParser:
    _, options = parse_options_header(content_type)
    try:
        return PushMultipartParser(
            options.get("boundary", ""), max_segment_count=MAX_FIELDS, max_header_size=4096, strict=False
        )
    except MultipartError as error:
        raise Refused("invalid_request", "The Content-Type names no usable boundary.") from error


class _Form:
    """Puts the parser's events together: small fields whole, the file piece by piece."""

    def __init__(self) -> None:
        self.file_seen = False
        self._name: str | None = None
        self._value: bytearray | None = None

    def take(self, event: Any) -> Iterator[Part]:
        if event is None:
            yield from self._ended()
        elif isinstance(event, bytes | bytearray):
            yield from self._payload(event)
        else:
            yield from self._begun(event)

    def _begun(self, segment: Any) -> Iterator[Part]:
        self._name = segment.name or ""
        if self._name == FILE_FIELD:
            if self.file_seen:
                raise invalid("body", FILE_FIELD, "One file at a time.")
            self.file_seen, self._value = True, None
            media_type = clean_media_type(segment.content_type)
            yield FileBegins(file_name=clean_name(segment.filename), media_type=media_type)
        else:
            self._value = bytearray()

    def _payload(self, data: bytes | bytearray) -> Iterator[Part]:
        if self._value is None:
            yield bytes(data)
            return
        self._value += data
        if len(self._value) > MAX_FIELD_BYTES:
            raise invalid("body", str(self._name), f"A field has at most {MAX_FIELD_BYTES} bytes.")

    def _ended(self) -> Iterator[Part]:
        if self._value is not None:
            try:
                yield Field(name=str(self._name), value=self._value.decode())
            except UnicodeDecodeError as error:
                raise invalid("body", str(self._name), "Must be UTF-8 text.") from error
        self._value = None

"""The object store, over the S3 protocol.

In: bytes and files. Out: objects by key with size and sha256, in bounded memory whatever their size.
Keys are content- or uuid-named by the callers, so that writing twice is harmless.
"""

import hashlib
import http.client
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from runtime import settings
from runtime.errors import ObjectMissing, ObjectWithheld, StoreRefuses, Unavailable
from runtime.withheld import withholds
from schemas.values import StoredObject

PART_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024
SMALL_TIMEOUT_S = 15
SMALL_ATTEMPTS = 3
DELETE_BATCH = 500
_MISSING = {"NoSuchKey", "404"}
# Answers of stores that keep no versions, or do not say which uploads are open.
_NOT_KNOWN = {"NotImplemented", "MethodNotAllowed", "501"}
# What may pass by itself; any other answer to a delete is final, as where a version is held.
_PASSING = {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"}
_DENIED = {"AccessDenied", "403"}
_CODE = re.compile(rb"<Code>([\w.]+)</Code>")
NO_BUCKET = b"NoSuchBucket"  # a wrong setting: no object is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one call waits for a store that says nothing, and how often it is tried in all."""

    connect_s: float
    silence_s: float
    tries: int


WORKER_PATIENCE = Patience(connect_s=5, silence_s=60, tries=4)
CHECK_PATIENCE = Patience(connect_s=2, silence_s=2, tries=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload in progress."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object, or an upload that was begun, and since when it is there."""

    key: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUpload(Entry):
    """A multipart upload that nobody has finished."""

    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How much was deleted for good."""

    objects: int
    versions: int
    uploads: int

    @property
    def total(self) -> int:
        return self.objects + self.versions + self.uploads


class _NotOffered(Exception):
    """The store does not know the operation."""


class _NoUpload(Unavailable):
    """The store does not know the multipart upload, as after its restart."""


class ObjectStore:
    """One bucket; safe to share between threads. Every failure of the store raises Unavailable.

    StoreRefuses, which is one, says that the store was asked and does not do it. Reading raises ObjectMissing, and
    ObjectWithheld, which is one, where the store hands out other objects.
    """

    def __init__(self, store: settings.ObjectStore, patience: Patience = WORKER_PATIENCE) -> None:
        self.bucket = store.bucket
        self._store = store
        self._client = _client(store, patience)
        self._checker: Any = None

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        if self._checker is not None:
            self._checker.close()

    def reachable(self) -> bool:
        """Whether the store answers for the bucket now; says so within a few seconds."""
        if self._checker is None:
            self._checker = _client(self._store, CHECK_PATIENCE)
        try:
            self._checker.head_bucket(Bucket=self.bucket)
        except (BotoCoreError, ClientError, OSError):
            return False
        return True

    def create_bucket(self) -> None:
        """Makes the bucket where it is missing."""
        try:
            self._call("head_bucket")
        except ObjectMissing:
            self._call("create_bucket")

    def put(self, key: str, data: bytes | bytearray) -> StoredObject:
        """Stores `data` and says what was stored."""
        self._call("put_object", Key=key, Body=data)
        return StoredObject(key=key, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def put_file(self, key: str, path: Path) -> None:
        """Stores a file in parts."""
        try:
            self._client.upload_file(str(path), self.bucket, key)
        except (BotoCoreError, ClientError, OSError) as error:
            raise Unavailable(f"object store: {error}") from error

    def get(self, key: str) -> bytes:
        """The whole object; raises ObjectMissing."""
        return b"".join(self.stream(key))

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        """The object from byte `start` in pieces of up to a megabyte; raises ObjectMissing."""
        extra = {"Range": f"bytes={start}-"} if start else {}
        body = self._call("get_object", Key=key, **extra)["Body"]
        try:
            yield from iter(lambda: body.read(READ_BYTES), b"")
        except (BotoCoreError, ClientError, OSError) as error:
            raise Unavailable(f"object store: {error}") from error
        finally:
            body.close()

    def size(self, key: str) -> int:
        """Size in bytes; raises ObjectMissing."""
        return int(self._call("head_object", Key=key)["ContentLength"])

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`."""
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Objects whose keys start with `prefix`."""
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, **token)
            yield from (Entry(key=item["Key"], since=item["LastModified"]) for item in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Multipart uploads under `prefix` that nobody has finished; none where the store does not say."""
        place: dict[str, str] = {}
        while True:
            try:
                page = self._call("list_multipart_uploads", Prefix=prefix, **place)
            except (_NotOffered, _NoUpload):  # rclone has none to list where none was ever begun
                return
            for item in page.get("Uploads", ()):
                yield OpenUpload(key=item["Key"], since=item["Initiated"], upload_id=item["UploadId"])
            if not page.get("IsTruncated"):
                return
            place = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def purge(self, prefix: str) -> Purged:
        """Deletes what starts with `prefix` for good: objects, earlier versions, marks of deletion, begun uploads."""
        uploads = [Upload(key=each.key, upload_id=each.upload_id) for each in self.open_uploads(prefix)]
        for upload in uploads:
            self.abort(upload)
        keys = list(self.keys(prefix))
        self.delete(keys)
        # After the delete, which in a bucket with versions only adds a mark.
        versions = list(self.kept_versions(prefix))
        self._delete(versions)
        return Purged(objects=len(keys), versions=len(versions), uploads=len(uploads))

    def kept_versions(self, prefix: str) -> Iterator[dict[str, str]]:
        """Key and id of every version and mark of deletion; none in a bucket that never kept versions."""
        try:
            if not self._call("get_bucket_versioning").get("Status"):
                return
        except _NotOffered:
            return
        place: dict[str, str] = {}
        while True:
            page = self._call("list_object_versions", Prefix=prefix, **place)
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                yield {"Key": item["Key"], "VersionId": item["VersionId"]}
            if not page.get("IsTruncated"):
                return
            place = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; those that are not there count as deleted."""
        self._delete([{"Key": key} for key in keys])

    def _delete(self, items: list[dict[str, str]]) -> None:
        """All that can be deleted is, whatever else is refused."""
        errors: list[str] = []
        for i in range(0, len(items), DELETE_BATCH):
            some = items[i : i + DELETE_BATCH]
            answer = self._call("delete_objects", Delete={"Objects": some, "Quiet": True})
            errors += [e.get("Code", "") for e in answer.get("Errors", ()) if e.get("Code") not in _MISSING]
        if errors:
            kind = Unavailable if _PASSING.intersection(errors) else StoreRefuses
            raise kind(f"object store: {len(errors)} deletes failed, first: {errors[0]}")

    def begin(self, key: str) -> Upload:
        """Starts a multipart upload."""
        return Upload(
            key=key,
            upload_id=self._call("create_multipart_upload", Key=key)["UploadId"],
        )

    def part(self, upload: Upload, number: int, data: bytes | bytearray) -> str:
        """Stores part `number` (from 1; all but the last at least 5 MiB) and returns its tag."""
        answer = self._call(
            "upload_part",
            Key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=number,
            Body=data,
        )
        return str(answer["ETag"])

    def finish(self, upload: Upload, tags: list[str]) -> None:
        """Makes the object of its parts."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        self._call(
            "complete_multipart_upload",
            Key=upload.key,
            UploadId=upload.upload_id,
            MultipartUpload={"Parts": parts},
        )

    def abort(self, upload: Upload) -> None:
        """Forgets a multipart upload; one that is not there counts as forgotten."""
        with suppress(_NoUpload):
            self._call("abort_multipart_upload", Key=upload.key, UploadId=upload.upload_id)

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _MISSING:
                raise ObjectMissing(f"{operation} {arguments.get('Key', self.bucket)}") from error
            if operation == "get_object" and withholds(code, arguments["Key"], self.get, self.put):
                raise ObjectWithheld(f"{arguments['Key']}: {code}") from error
            if code in _NOT_KNOWN:
                raise _NotOffered(operation) from error
            if code == "NoSuchUpload":
                raise _NoUpload(f"object store: {error}") from error
            kind = StoreRefuses if code in _DENIED else Unavailable
            raise kind(f"object store: {error}") from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable(f"object store: {error}") from error


def _client(store: settings.ObjectStore, patience: Patience) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=patience.connect_s,
            read_timeout=patience.silence_s,
            retries={"total_max_attempts": patience.tries, "mode": "standard"},
            max_pool_connections=32,
        ),
    )


class SmallObjects:
    """Whole small objects, at a third of the processor time that boto3's client takes.

    One kept-alive connection a thread; safe to share between threads. Signs with botocore, so it speaks to the same
    stores as `ObjectStore`, and raises the same errors.
    """

    def __init__(self, store: settings.ObjectStore) -> None:
        self._endpoint = store.endpoint.rstrip("/")
        self._bucket = store.bucket
        self._auth = S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", store.region)
        self._threads = threading.local()

    def get(self, key: str) -> bytes:
        """The object; raises ObjectMissing."""
        return self._send("GET", key, None)

    def put(self, key: str, data: bytes) -> None:
        """Stores `data`."""
        self._send("PUT", key, data)

    def _send(self, method: str, key: str, data: bytes | None) -> bytes:
        trouble: object = "no attempt was made"
        for _ in range(SMALL_ATTEMPTS):
            try:
                status, body = self._exchange(method, key, data)
            except (OSError, http.client.HTTPException) as error:
                self._threads.connection = None
                trouble = repr(error)
                continue
            if status < http.HTTPStatus.MULTIPLE_CHOICES:
                return body
            if status == http.HTTPStatus.NOT_FOUND and NO_BUCKET not in body:
                raise ObjectMissing(f"{method} {key}")
            code = found[1].decode() if (found := _CODE.search(body)) else ""
            if method == "GET" and withholds(code, key, self.get, self.put):
                raise ObjectWithheld(f"{key}: {code}")
            trouble = f"{status} {body[:200]!r}"
        raise Unavailable(f"object store: {method} {key}: {trouble}")

    def _exchange(self, method: str, key: str, data: bytes | None) -> tuple[int, bytes]:
        url = f"{self._endpoint}/{self._bucket}/{quote(key, safe='/~')}"
        request = AWSRequest(method, url, data=data)
        self._auth.add_auth(request)
        connection = self._connection()
        connection.request(method, urlsplit(url).path, body=data, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._threads, "connection", None)
        if connection is None:
            place = urlsplit(self._endpoint)
            secure = place.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = kind(place.netloc, timeout=SMALL_TIMEOUT_S)
            self._threads.connection = connection
        return connection

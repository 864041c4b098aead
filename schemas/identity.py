"""Names and places: ids, keys and partitions, the same for whoever computes them.

In: tenants, causes, job ids. Out: deterministic UUIDs, record keys, partition numbers.
Knows no client library: every producer sets the partition explicitly with `partition_for`, because the
default partitioners of the Kafka clients differ (librdkafka hashes with CRC32, Java with murmur2).
"""

from uuid import NAMESPACE_URL, UUID, uuid5

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:palimpsest")
_M = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF
_MAX_INDEX = 2**31 - 1


def event_id(cause_id: str, kind: str, ordinal: int = 0) -> str:
    """The id of the `ordinal`-th event of `kind` that `cause_id` led to; content and code version play no part."""
    return str(uuid5(_NAMESPACE, f"{cause_id}/{kind}/{ordinal}"))


def job_id_for(tenant_id: str, idempotency_key: str) -> str:
    """The id of the job that a tenant's Idempotency-Key names, however often it is sent."""
    return str(uuid5(_NAMESPACE, f"job/{tenant_id}/{idempotency_key}"))


def is_job_id(text: str) -> bool:
    """Whether `text` is a UUID in its canonical form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def fact_key(job_id: str, seq: int) -> bytes:
    """Key of a fact on `transcripts`: one key, one fact, so that compaction keeps each and a tombstone forgets it."""
    return f"{job_id}/{seq}".encode()


def chunk_key(job_id: str, index: int) -> bytes:
    """Key of a chunk's work on the chunk lanes."""
    return f"{job_id}/{index}".encode()


def chunk_of(key: bytes) -> tuple[str, int] | None:
    """Job and index that a key of the chunk lanes names, if it is one."""
    job, _, index = key.decode(errors="replace").partition("/")
    known = is_job_id(job) and index.isascii() and index.isdecimal() and int(index) <= _MAX_INDEX
    return (job, int(index)) if known else None


def nudge_key(partition: int) -> bytes:
    """Key of the record that makes a quiet partition roll its segment, so that compaction can forget."""
    return f"_nudge/{partition}".encode()


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 (Austin Appleby's MurmurHash2 with Kafka's seed), unsigned."""
    h = (_SEED ^ len(data)) & _MASK
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """Partition of a key: the Java client's choice, for job ids and for chunk keys."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions

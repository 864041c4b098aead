"""How often each record was tried, as text small enough for the metadata of an offset commit.

In: tries by offset. Out: text of at most 4,095 bytes, and the tries back from it.
Pure. Tries are counted beside the offset and not in memory, so that a kill of the whole process counts as well:
a record that takes its process down cannot do so for ever. Every commit must carry the text; one without it wipes
the counts.
"""

import re
from collections.abc import Mapping

MAX_METADATA_BYTES = 4_095
_VERSION = "tries1"
_ENTRY = re.compile(r"([0-9a-f]+):([0-9a-f]+)")


def encode(tries: Mapping[int, int], first: int) -> str:
    """`tries` of offsets from `first` on, each as its distance from it; empty when there are none.

    Where they do not fit, the records with the fewest tries are left out: they are tried once more than the others.
    """
    counted = sorted((-count, offset) for offset, count in tries.items() if count > 0 and offset >= first)
    size = len(_VERSION)
    kept = []
    for count, offset in counted:
        entry = f" {offset - first:x}:{-count:x}"
        size += len(entry)
        if size > MAX_METADATA_BYTES:
            break
        kept.append((offset, entry))
    return _VERSION + "".join(entry for _, entry in sorted(kept)) if kept else ""


def decode(metadata: str, first: int) -> dict[int, int]:
    """The tries in a commit of offset `first`; nothing where another program wrote the metadata."""
    version, *entries = metadata.split(" ")
    found = [_ENTRY.fullmatch(entry) for entry in entries]
    if version != _VERSION:
        return {}
    return {first + int(entry[1], 16): int(entry[2], 16) for entry in found if entry}

"""Whether a store withholds one object or hands out nothing at all.

In: how it answered to the reading of an object, and a way to read and write. Out: a decision.
An object whose key was withdrawn, or that a rule has moved to an archive, is never handed out: who waits for it waits
for ever, and everybody else's work behind it. Where a right to the bucket is missing, it is everybody's trouble and
will be mended: then no job may fail of it. So an object of our own is read in between.
"""

from collections.abc import Callable

from runtime.errors import ObjectMissing, Unavailable

PROBE_KEY = "palimpsest-readable"  # no tenant's: those have a slash
PROBE = b"Read to tell whether only one object is withheld.\n"
_ARCHIVED = "InvalidObjectState"
_THROTTLED = "KMS.ThrottlingException"


def withholds(code: str, key: str, read: Callable[[str], object], write: Callable[[str, bytes], object]) -> bool:
    """Whether the answer with this error code is about the object `key` alone."""
    if code == _ARCHIVED:
        return True
    if key == PROBE_KEY or code == _THROTTLED or not (code == "AccessDenied" or code.startswith("KMS.")):
        return False
    try:
        try:
            read(PROBE_KEY)
        except ObjectMissing:
            write(PROBE_KEY, PROBE)
            read(PROBE_KEY)
    except (ObjectMissing, Unavailable):
        return False
    return True

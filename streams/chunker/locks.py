"""What a decoder process puts on itself before it meets a stranger's file.

In: nothing. Out: fewer rights, and the names of what took hold. What the kernel here does not know is left out.
Every lock holds without a helper program and for every process forked afterwards. Knows no file and no codec.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

ADDRESS_SPACE_BYTES = 2_000_000_000
# Beside what the libraries take. A minute of sound needs a few; a picture in a tag may want thousands.
DATA_BYTES = 200_000_000
OPEN_FILES = 32
_PACKAGES = Path(__file__).resolve().parents[2]
_NOBODY = 65_534
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# Landlock, https://docs.kernel.org/userspace-api/landlock.html: numbers are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_ONLY = 1
_PATH_BENEATH = 1
_EXECUTE_AND_READ = 1 << 0 | 1 << 2 | 1 << 3
# How many rights on files each version of the interface knows, from the first.
_FILE_RIGHTS = (13, 14, 15, 15, 16)
_CONNECT_AND_BIND = 3
_SCOPES = 3


def readable_paths() -> tuple[str, ...]:
    """Where Python and its libraries are: all that a decoder may open by name."""
    return tuple(dict.fromkeys(("/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix, str(_PACKAGES))))


def lock_in() -> tuple[str, ...]:
    """Gives up what a decoder does not need; returns the names of what took hold."""
    limits = {
        resource.RLIMIT_AS: ADDRESS_SPACE_BYTES,
        resource.RLIMIT_DATA: _data_bytes() + DATA_BYTES,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    locks = ["limits"]
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        locks.append("no_new_privileges")
    # Before the change of user, who may not even look at where Python is.
    if _landlock():
        locks.append("landlock")
    if os.getuid() == 0 and _become_nobody():
        locks.append("nobody")
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # After the change of user, which would undo it.
    die_with_parent()
    return tuple(locks)


def die_with_parent() -> None:
    """Has the kernel kill this process when the one that started it ends; a fork does not inherit it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _data_bytes() -> int:
    """What the process has reserved for itself so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _become_nobody() -> bool:
    """Another user than our processes', so that their memory and environment cannot be read; not inside bubblewrap."""
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return False
    return True


def _landlock() -> bool:
    """From now on only the paths of Python can be opened, and no address can be connected to."""
    version = _LIBC.syscall(_CREATE_RULESET, None, 0, _VERSION_ONLY)
    if version < 1:
        return False
    file_rights = (1 << _FILE_RIGHTS[min(version, len(_FILE_RIGHTS)) - 1]) - 1
    known = (file_rights, *((_CONNECT_AND_BIND,) if version >= 4 else ()), *((_SCOPES,) if version >= 6 else ()))
    rules = struct.pack(f"={len(known)}Q", *known)
    ruleset = _LIBC.syscall(_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable_paths():
            _allow(ruleset, path)
        return bool(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    with suppress(OSError):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            _LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", _EXECUTE_AND_READ, folder), 0)
        finally:
            os.close(folder)

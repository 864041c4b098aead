"""What can go wrong on one machine, each with one sentence for the person at the terminal.

LocalError
├── BadSetting        a setting has no usable value
├── MissingTool       a program or package that must be there is not
├── ArtifactMismatch  a downloaded or installed file is not the one that was locked
├── PortTaken         something else listens where an engine or process should
├── NotReady          an engine or process ended or did not answer in time
└── NotRunning        the stack is down
"""

from __future__ import annotations


class LocalError(Exception):
    """The local stack cannot go on; the text says what to do."""


class BadSetting(LocalError):
    """A setting has no usable value."""


class MissingTool(LocalError):
    """A program or package that must be there is not."""


class ArtifactMismatch(LocalError):
    """A file is not the one that was locked."""


class PortTaken(LocalError):
    """Another program listens on a port of ours."""


class NotReady(LocalError):
    """An engine or process ended or did not answer in time."""


class NotRunning(LocalError):
    """The stack is down."""

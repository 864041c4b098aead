"""The shell examples of README.md and docs/, taken apart far enough to check them without running them.

In: Markdown. Out: commands as words, each with the page it stands on. Must not know which commands there are.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
# What ends one command's words on a line.
_ENDS = {"|", ">", "<", "&&", ";", "||"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One command of a page, without what its output is piped into."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def examples() -> Iterator[Example]:
    """Every command of every page."""
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                for words in _commands(line):
                    yield Example(page=page.name, words=words)


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line, those inside `$(…)` first."""
    for inner in _SUBSTITUTION.findall(line):
        yield from _commands(inner)
    lexer = shlex.shlex(_SUBSTITUTION.sub("x", line), posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word not in _ENDS:
            words.append(word)
            continue
        if words:
            yield tuple(words)
        # What follows a redirection is a file; what follows a pipe is somebody else's program.
        words = [] if word in ("&&", ";", "||") else ["(to)"]
    if words:
        yield tuple(words)

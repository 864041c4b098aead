"""A client's vocabulary as the recogniser's prompt.

In: terms and a way to turn text into tokens. Out: the tokens that fit, and the terms that do not. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.values import JobWarning

PROMPT_TOKENS_MAX = 223  # Whisper keeps half of its 448 positions for what came before
TERMS_NAMED_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Tokens that stand before the text, and the terms that found no room."""

    tokens: tuple[int, ...] = ()
    dropped: tuple[str, ...] = ()


def vocabulary_prompt(terms: Sequence[str], encode: Callable[[str], Sequence[int]]) -> Prompt:
    """As many terms as fit, in the client's order; a term too long for the room left is dropped, not cut."""
    tokens: list[int] = []
    dropped: list[str] = []
    for term in filter(None, (term.strip() for term in terms)):
        added = encode(f", {term}" if tokens else f" {term}")
        if len(tokens) + len(added) <= PROMPT_TOKENS_MAX:
            tokens.extend(added)
        else:
            dropped.append(term)
    return Prompt(tokens=tuple(tokens), dropped=tuple(dropped))


def dropped_warning(prompt: Prompt) -> tuple[JobWarning, ...]:
    """One warning that names the dropped terms, when there are any."""
    if not prompt.dropped:
        return ()
    named = ", ".join(prompt.dropped[:TERMS_NAMED_MAX])
    more = len(prompt.dropped) - TERMS_NAMED_MAX
    return (
        JobWarning(
            code="vocabulary_truncated",
            message=f"The vocabulary is longer than the model's prompt; left out: {named}"
            + (f" and {more} more." if more > 0 else "."),
        ),
    )

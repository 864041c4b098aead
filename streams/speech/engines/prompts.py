"""A client's prompt and vocabulary as the recogniser's prompt.

In: text, terms, and a way to turn text into tokens. Out: the tokens that fit, and what does not. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.values import JobWarning

PROMPT_TOKENS_MAX = 223  # Whisper keeps half of its 448 positions for what came before
TERMS_NAMED_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Tokens that stand before the text, the terms that found no room, and whether the client's text was cut."""

    tokens: tuple[int, ...] = ()
    dropped: tuple[str, ...] = ()
    cut: bool = False


def prompt(text: str | None, terms: Sequence[str], encode: Callable[[str], Sequence[int]]) -> Prompt:
    """The client's text last, as if it had just been said; before it the terms that still fit."""
    said = list(encode(f" {text.strip()}")) if text and text.strip() else []
    kept = said[-PROMPT_TOKENS_MAX:]
    listed = vocabulary_prompt(terms, encode, PROMPT_TOKENS_MAX - len(kept))
    return Prompt(tokens=(*listed.tokens, *kept), dropped=listed.dropped, cut=len(kept) < len(said))


def vocabulary_prompt(
    terms: Sequence[str], encode: Callable[[str], Sequence[int]], room: int = PROMPT_TOKENS_MAX
) -> Prompt:
    """As many terms as fit, in the client's order; a term too long for the room left is dropped, not cut."""
    tokens: list[int] = []
    dropped: list[str] = []
    for term in filter(None, (term.strip() for term in terms)):
        added = encode(f", {term}" if tokens else f" {term}")
        if len(tokens) + len(added) <= room:
            tokens.extend(added)
        else:
            dropped.append(term)
    return Prompt(tokens=tuple(tokens), dropped=tuple(dropped))


def prompt_warnings(prompt: Prompt) -> tuple[JobWarning, ...]:
    """What a client should know of a prompt that did not fit."""
    message = "The prompt is longer than the model's; only its end was used."
    cut = (JobWarning(code="prompt_truncated", message=message),) if prompt.cut else ()
    return (*cut, *dropped_warning(prompt))


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

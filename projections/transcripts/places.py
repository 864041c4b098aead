"""Where each word stands in its segment's text.

In: a text and its words in order. Out: the character at which each found word begins.
Text and words may differ after a correction; a word that is not found is left out. Knows nothing of languages.
"""

from collections.abc import Sequence

from schemas.values import Word


def word_places(text: str, words: Sequence[Word]) -> tuple[tuple[int, Word], ...]:
    """The words that occur in the text in their order, each with the index of its first character."""
    places: list[tuple[int, Word]] = []
    position = 0
    for word in words:
        wanted = word.text.strip()
        found = text.find(wanted, position) if wanted else -1
        if found >= 0:
            places.append((found, word))
            position = found + len(wanted)
    return tuple(places)

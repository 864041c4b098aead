"""How much work each quality puts into the words.

In: the quality a client asked for. Out: how to listen, how to decode, and what to try again. Pure.
What each costs and gives was measured with `palimpsest eval`: see docs/extending.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.values import Quality
from streams.speech.engines.retry import WHOLE_LADDER, Decoding, Ladder
from streams.speech.engines.windows import SPEECH, SpeechThresholds

# Lower than WhisperX's: quiet speech is heard, and some noise.
KEEN = SpeechThresholds(onset=0.35, offset=0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """One quality: what counts as speech, the ladder of tries, and whether speech without words is tried again.

    Whisper was trained on 30 s at a time: on a shorter input it is faster, and wrong about more words and languages.
    """

    speech: SpeechThresholds = SPEECH
    ladder: Ladder = WHOLE_LADDER
    covers: bool = True
    full_input: bool = True


EFFORTS: Mapping[Quality, Effort] = {
    # A loop is never good enough: greedy search is tried again without repeats too.
    Quality.DRAFT: Effort(
        ladder=Ladder(
            first=Decoding(beam_size=1),
            without_repeats=Decoding(beam_size=1, no_repeat_ngram_size=3),
            halves=False,
            drawn=(),
        ),
        covers=False,
        full_input=False,
    ),
    Quality.BALANCED: Effort(),
    Quality.ACCURATE: Effort(
        speech=KEEN,
        ladder=Ladder(first=Decoding(beam_size=10), without_repeats=Decoding(beam_size=10, no_repeat_ngram_size=3)),
    ),
}

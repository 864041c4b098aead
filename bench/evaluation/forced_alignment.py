"""When each word of an English text begins, by an aligner that shares nothing with ours: PocketSphinx.

In: samples and their text. Out: the words with their starts. A word the dictionary does not have is spelt letter by
letter, so that the others are found; it and its neighbour are not to be relied on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder, get_model_path

from bench.evaluation.errors_of_times import TimedWord, plain_word
from streams.speech.engines.protocol import SAMPLE_RATE_HZ

LANGUAGE = "en"
FRAME_MS = 10
# Wide enough that five minutes of text find their way.
BEAM = 1e-80
# One phone a sign: a, b, c … z, then 0 … 9.
_PHONES = "AE B K D EH F G HH IH JH K L M N AA P K R S T AH V W K Y Z Z W T TH F F S S EY N"
_LETTERS = dict(zip("abcdefghijklmnopqrstuvwxyz0123456789", _PHONES.split(), strict=True))


def align(samples: NDArray[np.float32], text: str) -> list[TimedWord]:
    """The words of the text in order; all without a start where no way through the sound was found."""
    words = [word for word in map(plain_word, text.replace("-", " ").split()) if word]
    decoder = Decoder(
        hmm=get_model_path("en-us/en-us"),
        dict=get_model_path("en-us/cmudict-en-us.dict"),
        lm=None,
        samprate=SAMPLE_RATE_HZ,
        bestpath=False,
        beam=BEAM,
        pbeam=BEAM,
        wbeam=BEAM,
        loglevel="FATAL",
    )
    unknown = {word for word in words if decoder.lookup_word(word) is None}
    for word in sorted(unknown):
        phones = " ".join(_LETTERS[sign] for sign in word if sign in _LETTERS)
        decoder.add_word(word, phones or "AH", word == max(unknown))
    starts = _starts(decoder, samples, words)
    if len(starts) != len(words):
        return [TimedWord(text=word, start_ms=None) for word in words]
    doubtful = [i for i, word in enumerate(words) if word in unknown]
    unreliable = {place for i in doubtful for place in (i, i + 1)}
    return [
        TimedWord(text=word, start_ms=None if i in unreliable else starts[i] * FRAME_MS) for i, word in enumerate(words)
    ]


def _starts(decoder: Decoder, samples: NDArray[np.float32], words: Sequence[str]) -> list[int]:
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw((samples * 32_767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    found = [] if decoder.hyp() is None else list(decoder.seg())
    return [segment.start_frame for segment in found if segment.word[0] not in "<["]

"""How many times faster than real time a recording is decoded, levelled, cut and encoded, on one core.

In: the clips of the tests, repeated to an hour. Out: figures, with what each step takes and the memory it needs.
Measures the decoder's own steps in a process of their own, without sandbox, engines or network.
`python -m bench.chunker` prints them alone.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream

from bench.report import Figure, table
from local.layout import CHECKOUT
from streams.chunker.child import encode_flac
from streams.chunker.cut import SAMPLE_RATE_HZ, Cutter, Samples
from streams.chunker.decode import Media
from streams.chunker.loudness import Leveler

AIM_TIMES_REAL_TIME = 400
AIM_MEMORY_MB = 300
CLIPS = CHECKOUT / "tests" / "data" / "audio"
PART_S = 300
PARTS = 12
MP3_RATE_HZ = 44_100
MP3_BITS_PER_S = 128_000
STEPS = ("decode", "level", "cut", "encode")
_KIB_PER_MB = 1_000_000 / 1024


def measure() -> list[Figure]:
    """Figures of an hour of WAV and of MP3."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"WAV, 16 kHz mono": Path(folder) / "hour.wav", "MP3, 44.1 kHz stereo": Path(folder) / "hour.mp3"}
        _write(*files.values())
        return [figure for name, path in files.items() for figure in _figures(name, path)]


def _figures(name: str, path: Path) -> list[Figure]:
    answer = subprocess.run((sys.executable, "-m", "bench.chunker", str(path)), check=True, capture_output=True)
    spent = json.loads(answer.stdout)
    group = f"chunker: {PARTS * PART_S // 60} min of {name}, one core"
    whole = Figure(
        group=group,
        name="times real time, all steps",
        value=PARTS * PART_S / sum(spent[step] for step in STEPS),
        unit="x",
        aim=AIM_TIMES_REAL_TIME,
    )
    steps = [Figure(group=group, name=f"processor time, {step}", value=spent[step], unit="s") for step in STEPS]
    memory = Figure(
        group=group, name="peak memory", value=spent["peak_mb"], unit="MB", aim=AIM_MEMORY_MB, at_least=False
    )
    return [whole, *steps, memory]


def _write(wav: Path, mp3: Path) -> None:
    """The same hour twice; MP3 frames may be repeated as they are, so only a part is encoded."""
    part = _clips(PART_S)
    with soundfile.SoundFile(wav, "w", samplerate=SAMPLE_RATE_HZ, channels=1, subtype="PCM_16") as file:
        for _ in range(PARTS):
            file.write(part)
    with av.open(mp3, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=MP3_RATE_HZ, layout="stereo")
        assert isinstance(stream, AudioStream)
        stream.bit_rate = MP3_BITS_PER_S
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=MP3_RATE_HZ)
        frame = av.AudioFrame.from_ndarray(part[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for ready in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    mp3.write_bytes(mp3.read_bytes() * PARTS)


def _clips(duration_s: int) -> Samples:
    """All clips one after the other, repeated to a length."""
    clips = [soundfile.read(path, dtype="int16") for path in sorted(CLIPS.glob("*.flac"))]
    joined = np.concatenate([samples for samples, rate in clips if rate == SAMPLE_RATE_HZ and samples.ndim == 1])
    whole: Samples = np.resize(joined, duration_s * SAMPLE_RATE_HZ)
    return whole


class _Watch:
    """Processor time by step."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STEPS, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.spent[name] += time.process_time() - started


def run(path: Path) -> dict[str, float]:
    """Does to a file what a decoder does, and says what each step took."""
    watch, leveler, cutter = _Watch(), Leveler(), Cutter()
    with path.open("rb", buffering=0) as source:
        blocks = Media(source).blocks()
        while True:
            with watch.step("decode"):
                block = next(blocks, None)
            with watch.step("level"):
                levelled = leveler.finish() if block is None else leveler.feed(block)
            with watch.step("cut"):
                chunks = cutter.feed(levelled) + (cutter.finish() if block is None else [])
            with watch.step("encode"):
                for chunk in chunks:
                    encode_flac(chunk.samples)
            if block is None:
                break
    return watch.spent | {"peak_mb": _peak_mb()}


def _peak_mb() -> float:
    # Not getrusage, whose figure includes what the parent held when it started us.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / _KIB_PER_MB


def main() -> None:
    """With a file: its figures as JSON, for the process that measures. Without: the table."""
    print(json.dumps(run(Path(sys.argv[1]))) if len(sys.argv) > 1 else table(measure()))


if __name__ == "__main__":
    main()

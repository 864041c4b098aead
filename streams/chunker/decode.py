"""A stranger's media file, decoded: whatever it claims to be, 16 kHz mono samples come out or a refusal.

In: a file object. Out: what the file is, and blocks of samples in order, in memory that does not grow with the file.
Runs in the sandboxed child only. Opens nothing by name: the demuxer gets the file object and two whitelists, because
playlists and concatenations name other files and addresses. Headers lie: only decoded samples count.
"""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from streams.chunker.cut import SAMPLE_RATE_HZ, Samples
from streams.chunker.frames import Opened
from streams.chunker.source import Source

OPTIONS = {
    "format_whitelist": "wav,mp3,flac,ogg,mov,mp4,m4a,matroska,webm,aac,aiff,asf",
    "protocol_whitelist": "none",
}
_READ_BYTES = 256 * 1024
# The filter graph costs as much per call as a hundred milliseconds of sound; so frames are gathered before it.
_GATHERED_VALUES = 131_072
MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000
MAX_BROKEN_PACKETS = 10_000
# Streams of frames that may come without a count of them: what is then said to be their length is a guess.
_GUESSED_FORMATS = frozenset({"mp3", "aac"})


class MediaRefused(Exception):
    """The file cannot be transcribed; `code` is stable, the message is for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def refused(code: str) -> MediaRefused:
    """The refusal of a code."""
    return MediaRefused(code, REFUSALS[code])


REFUSALS = {
    "empty_file": "The file is empty.",
    "not_audio": "The file is not audio or video in a format that can be read. "
    "WAV, MP3, M4A, AAC, FLAC, OGG, Opus, WMA, AIFF, WebM, MKV, MP4 and MOV can.",
    "no_audio_track": "The file has no audio track.",
    "unsupported_audio": "The file's sound is in a form that cannot be decoded.",
    "protected": "The file is copy-protected and cannot be decoded.",
    "damaged": "The file is damaged: no sound could be decoded from it.",
    "too_complex": "Reading the file takes more work than a recording needs.",
}


class Media:
    """An opened file. `info` says what it is, `declared_s` how long it claims to be, `blocks` decodes it once."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises MediaRefused."""
        source = Source(file)
        self._container = _open(source)
        self._stream = _audio_stream(self._container, source)
        self.declared_s = _declared_s(self._container, self._stream, source)
        context = self._stream.codec_context
        self.info = Opened(
            container=self._container.format.name,
            codec=context.name,
            sample_rate_hz=context.sample_rate,
            channels=context.channels,
        )
        self._broken_packets = 0

    def blocks(self) -> Iterator[Samples]:
        """Samples in blocks of some seconds; raises MediaRefused when there is not one in the whole file."""
        mono = _Mono()
        some = False
        for frame in self._frames():
            for block in mono.feed(frame):
                some = some or len(block) > 0
                yield block
        for block in mono.finish():
            some = some or len(block) > 0
            yield block
        if not some:
            raise refused("damaged")

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; a broken packet is left out, a broken container ends the recording where it broke."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self._broken_packets += 1
                if self._broken_packets > MAX_BROKEN_PACKETS:
                    return


def _open(source: Source) -> InputContainer:
    if not source.head:
        raise refused("empty_file")
    try:
        # The stubs want a whole file object; three methods of it are used.
        file = cast(BinaryIO, source)
        return av.open(file, "r", options=OPTIONS, buffer_size=_READ_BYTES, metadata_errors="replace")
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise refused("damaged" if source.is_media else "not_audio") from error


def _declared_s(container: InputContainer, stream: AudioStream, source: Source) -> float:
    """The length that the file claims; 0 where it claims none."""
    if container.format.name in _GUESSED_FORMATS and not source.counts_its_frames:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _audio_stream(container: InputContainer, source: Source) -> AudioStream:
    if not container.streams.audio:
        silent = "no_audio_track" if container.streams.video else "damaged" if source.is_media else "not_audio"
        raise refused(silent)
    stream = container.streams.audio[0]
    # The stubs do not say that a stream without a decoder has no context.
    context: Any = stream.codec_context
    if context is None:
        raise refused("unsupported_audio")
    if _is_protected(context):
        raise refused("protected")
    if not context.channels or not MIN_RATE_HZ <= context.sample_rate <= MAX_RATE_HZ:
        raise refused("unsupported_audio")
    context.thread_count = 1
    return stream


def _is_protected(context: Any) -> bool:
    try:
        return context.codec_tag in ("enca", "drms", "drmi")
    except UnicodeDecodeError:  # a tag of four arbitrary bytes
        return False


class _Mono:
    """Frames of any shape to 16 kHz mono; a change of shape within the file starts a new filter."""

    def __init__(self) -> None:
        self._shape: tuple[int, str, int] | None = None
        self._fifo = av.AudioFifo()
        self._full_samples = 0
        self._graph: av.filter.Graph | None = None

    def feed(self, frame: AudioFrame) -> Iterable[Samples]:
        """Blocks that are ready; none most of the time."""
        # Tens of frames a second come by here: what is asked of each is what is cheap to ask.
        shape = (frame.sample_rate, frame.format.name, frame.layout.nb_channels)
        before: list[Samples] = []
        if shape != self._shape:
            if not MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ:
                return before
            before.extend(self.finish())
            self._shape = shape
            self._full_samples = _GATHERED_VALUES // shape[2]
        frame.pts = None
        self._fifo.write(frame)
        if self._fifo.samples < self._full_samples:
            return before
        return [*before, *self._filter(self._fifo.read())]

    def finish(self) -> Iterator[Samples]:
        """What is still inside."""
        if rest := self._fifo.read():
            yield from self._filter(rest)
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull(self._graph)
        self._fifo, self._graph = av.AudioFifo(), None

    def _filter(self, gathered: AudioFrame | None) -> Iterator[Samples]:
        if gathered is None:
            return
        if self._graph is None:
            self._graph = _graph(gathered)
        if not _mixable(gathered):
            gathered = _mean(gathered)
        self._graph.push(gathered)
        yield from self._pull(self._graph)

    def _pull(self, graph: av.filter.Graph) -> Iterator[Samples]:
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield _whole_numbers(frame.to_ndarray())


def _mixable(frame: AudioFrame) -> bool:
    """Whether the filter knows how to mix the frame's channels: it does up to 7.1 of named layouts."""
    return len(frame.layout.channels) <= 2 or frame.layout.name in _MIXED_LAYOUTS


_MIXED_LAYOUTS = frozenset({"3.0", "quad", "4.0", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.0", "7.1"})


def _mean(frame: AudioFrame) -> AudioFrame:
    """The plain mean of all channels, for layouts that nobody has mixing rules for."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    mean = values.mean(axis=0, dtype=np.float64)
    if values.dtype.kind != "f":
        half = 2.0 ** (8 * values.dtype.itemsize - 1)
        mean = (mean - (half if values.dtype.kind == "u" else 0.0)) / half
    mixed = AudioFrame.from_ndarray(mean.astype(np.float32)[np.newaxis], format="flt", layout="mono")
    mixed.sample_rate = frame.sample_rate
    return mixed


def _graph(first: AudioFrame) -> av.filter.Graph:
    mixable = _mixable(first)
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=first.sample_rate,
        format=first.format.name if mixable else "flt",
        layout=first.layout.name if mixable else "mono",
    )
    resample = graph.add("aresample", f"osr={SAMPLE_RATE_HZ}:ochl=mono:osf=flt")
    sink = graph.add("abuffersink")
    source.link_to(resample)
    resample.link_to(sink)
    graph.configure()
    return graph


def _whole_numbers(values: NDArray[Any]) -> Samples:
    """16-bit samples; what is not a number becomes silence, what is over full scale is clipped."""
    flat = np.clip(np.nan_to_num(values.reshape(-1), nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
    whole: Samples = np.clip(np.rint(flat * 32_768.0), -32_768, 32_767).astype(np.int16)
    return whole

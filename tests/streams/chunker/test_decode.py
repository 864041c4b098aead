"""Media files: everything that people upload decodes, and everything hostile is refused."""

import io
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.recordings import wav_head
from streams.chunker.cut import SAMPLE_RATE_HZ, Samples
from streams.chunker.decode import Media, MediaRefused
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, noise, silent_film, tone

SECONDS = 3


def decoded(data: bytes) -> Samples:
    return np.concatenate(list(Media(io.BytesIO(data)).blocks()))


def refusal(data: bytes) -> str:
    with pytest.raises(MediaRefused) as caught:
        decoded(data)
    assert caught.value.message.endswith(".")
    return caught.value.code


def pitch_hz(samples: Samples) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE_HZ / len(samples))


@pytest.mark.parametrize("name", RECIPES)
def test_a_format_decodes(name: str) -> None:
    samples = decoded(media_file(tone(SECONDS * 1000), RECIPES[name]))
    assert abs(len(samples) / SAMPLE_RATE_HZ - SECONDS) < 0.2
    assert abs(pitch_hz(samples) - 440) < 2
    rms = np.sqrt(np.mean(np.square(samples[4_000:-4_000], dtype=np.float64))) / 32_768
    assert 0.03 < rms < 0.3


@pytest.mark.parametrize(
    ("name", "container", "codec"), [("wav", "wav", "pcm_s16le"), ("mp4-video", "mov", "aac"), ("wma", "asf", "wmav2")]
)
def test_it_says_what_the_file_is(name: str, container: str, codec: str) -> None:
    info = Media(io.BytesIO(media_file(tone(200), RECIPES[name]))).info
    assert info.container.startswith(container)
    assert (info.codec, info.sample_rate_hz) == (codec, RECIPES[name].rate_hz)


def test_lossless_sound_comes_through_unchanged() -> None:
    samples = tone(1_000)
    assert np.array_equal(decoded(media_file(samples, RECIPES["wav"])), samples)


def test_ogg_vorbis_decodes() -> None:
    out = io.BytesIO()
    soundfile.write(out, tone(SECONDS * 1000), SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS")
    samples = decoded(out.getvalue())
    assert abs(len(samples) / SAMPLE_RATE_HZ - SECONDS) < 0.2
    assert abs(pitch_hz(samples) - 440) < 2


def playlist(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()


def concatenation(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile {target}\n".encode()


@pytest.mark.parametrize("form", [playlist, concatenation])
def test_a_list_of_other_files_is_refused_and_opens_nothing(form: object, tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(media_file(tone(500), RECIPES["wav"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        assert callable(form)
        for target in (str(other), f"http://127.0.0.1:{server.getsockname()[1]}/x.wav"):
            assert refusal(form(target)) == "not_audio"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"hello, this is a letter and no sound\n" * 100, "not_audio"),
        (b"PK\x03\x04" + bytes(2_000), "not_audio"),
        (b"<html><script>alert(1)</script></html>" * 50, "not_audio"),
        (b"RIFF", "damaged"),
        (wav_head(0), "damaged"),
        (b"fLaC" + noise(60, -10.0).tobytes(), "damaged"),
        (wav_head(32_000, rate_hz=8) + bytes(32_000), "unsupported_audio"),
        (wav_head(32_000, rate_hz=4_000_000_000) + bytes(32_000), "damaged"),
        (wav_head(32_000, rate_hz=1_000_000) + bytes(32_000), "unsupported_audio"),
    ],
    ids=["empty", "text", "zip", "html", "magic only", "no samples", "noise in flac", "8 Hz", "4 GHz", "1 MHz"],
)
def test_what_is_no_sound_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_a_video_without_sound_is_refused() -> None:
    assert refusal(silent_film()) == "no_audio_track"


@pytest.mark.parametrize("claimed", [4_294_967_000, 100])
def test_a_header_that_lies_about_its_length_is_not_believed(claimed: int) -> None:
    samples = decoded(wav_head(claimed) + tone(1_000).tobytes())
    assert 0 < len(samples) <= SAMPLE_RATE_HZ


def test_not_a_number_poisons_only_its_surroundings() -> None:
    values = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000).astype("<f4") * 0.1
    values[20_000:20_100] = np.nan
    values[30_000:30_010] = np.inf
    data = bytearray(media_file(tone(1_000), Recipe(container="wav", codec="pcm_f32le", rate_hz=48_000, layout="mono")))
    data[-48_000 * 4 :] = values.tobytes()
    samples = decoded(bytes(data))
    assert np.abs(samples.astype(int)).max() < 8_000
    assert abs(pitch_hz(samples[10_500:]) - 440) < 3
    assert np.abs(samples[11_000:].astype(int)).max() > 2_000


@pytest.mark.parametrize("channels", [3, 9, 32, 255])
def test_any_number_of_channels_is_mixed(channels: int) -> None:
    samples = tone(1_000)
    data = wav_head(samples.nbytes * channels, channels=channels) + np.repeat(samples, channels).tobytes()
    mixed = decoded(data)
    assert abs(len(mixed) - SAMPLE_RATE_HZ) < 100
    assert abs(pitch_hz(mixed) - 440) < 2


def test_a_file_cut_off_in_the_middle_gives_what_there_is() -> None:
    data = media_file(tone(10_000), RECIPES["mp3"])
    assert abs(len(decoded(data[: len(data) // 2])) / SAMPLE_RATE_HZ - 5) < 0.5


def test_damage_in_the_middle_costs_only_what_is_damaged() -> None:
    data = bytearray(media_file(tone(10_000), RECIPES["mp3"]))
    middle = len(data) // 2
    data[middle : middle + 2_000] = noise(63, -6.0).tobytes()[:2_000]
    assert len(decoded(bytes(data))) / SAMPLE_RATE_HZ > 9


@pytest.mark.parametrize("name", ["mp3", "m4a", "ogg-opus", "webm", "wma", "flac"])
def test_random_damage_never_raises_anything_else(name: str) -> None:
    data = media_file(tone(1_000), RECIPES[name])
    random = np.random.default_rng(7)
    for _ in range(40):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 20):
            broken[place] = random.integers(0, 256)
        try:
            decoded(bytes(broken))
        except MediaRefused:
            continue


def test_a_change_of_shape_within_the_file_is_followed() -> None:
    one = media_file(tone(2_000), Recipe(container="mp3", codec="libmp3lame", rate_hz=44_100))
    other = media_file(tone(2_000), Recipe(container="mp3", codec="libmp3lame", rate_hz=22_050, layout="mono"))
    samples = decoded(one + other)
    assert abs(len(samples) / SAMPLE_RATE_HZ - 4) < 0.3
    assert abs(pitch_hz(samples[-16_000:]) - 440) < 3


def test_tags_in_an_unknown_encoding_do_no_harm() -> None:
    sound = media_file(tone(500), RECIPES["mp3"])
    body = b"TIT2" + (9).to_bytes(4, "big") + b"\x00\x00\x03" + b"\xff\xfe\xfd\xff\x80\x81\x82\x83"
    tag = b"ID3\x04\x00\x00" + len(body).to_bytes(4, "big") + body
    assert len(decoded(tag + sound)) > 6_000

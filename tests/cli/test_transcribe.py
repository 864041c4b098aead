"""What is sent for a file, before any server is asked."""

from pathlib import Path

import pytest

from cli.errors import Exit
from cli.main import parser, run
from cli.transcribe import job_options, upload_key


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    file = tmp_path / "call.wav"
    file.write_bytes(b"sound")
    return file


def test_the_same_file_with_the_same_options_has_one_key(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other name.wav"
    copy.write_bytes(b"sound")
    key = upload_key(sound, {"a": "1", "b": "2"}, again=False)
    assert key == upload_key(copy, {"b": "2", "a": "1"}, again=False)
    assert key != upload_key(sound, {"a": "1"}, again=False)
    copy.write_bytes(b"other sound")
    assert key != upload_key(copy, {"a": "1", "b": "2"}, again=False)


def test_again_makes_a_new_key_each_time(sound: Path) -> None:
    assert upload_key(sound, {}, again=True) != upload_key(sound, {}, again=True)


def test_only_given_options_are_sent() -> None:
    bare = parser().parse_args(["transcribe", "x.wav"])
    assert job_options(bare) == {}
    full = ["transcribe", "x.wav", "--language", "de", "--speakers", "2", "--no-diarize", "--vocabulary", "Kafka,Avro"]
    full += ["--translate", "--quality", "accurate", "--prompt", "Minutes"]
    assert job_options(parser().parse_args(full)) == {
        "task": "translate",
        "quality": "accurate",
        "prompt": "Minutes",
        "language": "de",
        "num_speakers": "2",
        "diarize": "false",
        "vocabulary": "Kafka,Avro",
    }


def test_a_missing_file_is_named_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcribe", "no such file.wav"]) == Exit.USAGE
    assert "no such file.wav" in capsys.readouterr().err


def test_several_subtitles_need_a_folder(sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "talk.wav"
    other.write_bytes(b"x")
    assert run(["transcribe", str(sound), str(other), "--format", "srt"]) == Exit.USAGE
    assert "-o DIR" in capsys.readouterr().err


def test_two_files_of_one_name_are_not_written_over_each_other(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "call.mp3").write_bytes(b"x")
    assert run(["transcribe", str(sound), str(folder / "call.mp3"), "-o", str(tmp_path)]) == Exit.USAGE

"""The clips of a folder, and which of them are chosen."""

from pathlib import Path

import pytest

from bench.evaluation.manifest import BadManifest, chosen, read_manifest

DATA = Path(__file__).parents[2] / "data"


def test_the_clips_of_the_tests_are_an_evaluation_set() -> None:
    clips = {clip.clip_id: clip for clip in read_manifest(DATA)}
    assert set(clips) == {path.stem for path in (DATA / "audio").glob("*.flac")}
    call = clips["pyannote-sample"]
    assert call.turns is not None and {word.speaker for word in call.words} == {"Diane", "Sheila"}
    assert clips["jfk"].turns is None and clips["jfk"].language == "en"


def test_clips_are_chosen_by_the_beginning_of_id_or_group() -> None:
    clips = read_manifest(DATA)
    assert [clip.clip_id for clip in chosen(clips, ["phone", "jfk"], None)] == ["pyannote-sample", "jfk"]
    assert len(chosen(clips, [], 2)) == 2
    with pytest.raises(BadManifest, match="whale"):
        chosen(clips, ["whale"], None)


@pytest.mark.parametrize(
    "text", ["{", '[{"id": "a"}]', '[{"id": "a", "file": "no.flac", "lang": "en", "duration": 1}]']
)
def test_what_is_no_set_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadManifest):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadManifest):
        read_manifest(tmp_path)

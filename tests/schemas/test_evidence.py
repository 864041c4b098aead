"""Speaker evidence survives packing, and rubbish is refused."""

import numpy as np
import pytest

from schemas.evidence import SpeakerEvidence, UnreadableEvidence, pack, unpack


def _evidence(windows: int) -> SpeakerEvidence:
    random = np.random.default_rng(1)
    embeddings = random.normal(size=(windows, 3, 192)).astype(np.float32)
    embeddings[0 if windows else slice(0)] = np.nan
    return SpeakerEvidence(
        window_start_ms=np.arange(windows, dtype=np.int64) * 2000,
        window_ms=10_000,
        activity=random.random((windows, 589, 3)) > 0.5,
        embeddings=embeddings,
        clean_s=random.random((windows, 3)).astype(np.float32),
        embedding_model="e",
        segmentation_model="s",
    )


@pytest.mark.parametrize("windows", [0, 1, 16])
def test_packed_evidence_is_read_back(windows: int) -> None:
    before = _evidence(windows)
    after = unpack(pack(before))
    assert (after.activity == before.activity).all()
    assert (after.window_start_ms == before.window_start_ms).all()
    np.testing.assert_allclose(after.embeddings, before.embeddings, atol=2e-3)
    assert (after.window_ms, after.embedding_model, after.segmentation_model) == (
        10_000,
        "e",
        "s",
    )


def test_evidence_of_a_chunk_is_small() -> None:
    assert len(pack(_evidence(16))) < 30_000


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04 nothing", pack(_evidence(2))[:-7], b"PALE\xff\xff\xff\x7f{}", b"PALE\x02\x00\x00\x00{}"],
    ids=["empty", "foreign", "cut off", "lying length", "no header"],
)
def test_rubbish_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableEvidence):
        unpack(data)

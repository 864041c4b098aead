"""Rows go into a batch and come out of it unchanged, whatever holds them; on a GPU they never leave it."""

import numpy as np
import pytest
import torch
from ctranslate2 import StorageView

from streams.speech.engines.device_rows import rows_of, stored

ROWS = [np.arange(6, dtype=np.float32).reshape(2, 3) + n for n in range(3)]


def test_arrays_come_back_as_they_went_in() -> None:
    found = rows_of(stored(ROWS))
    assert [np.asarray(row).tolist() for row in found] == [row.tolist() for row in ROWS]


def test_tensors_in_main_memory_make_the_same_batch() -> None:
    found = rows_of(stored([torch.from_numpy(row) for row in ROWS]))
    assert [np.asarray(row).tolist() for row in found] == [row.tolist() for row in ROWS]


def test_rows_outlive_the_batch_they_came_from() -> None:
    batch = np.stack(ROWS)
    storage = StorageView.from_array(batch)
    found = rows_of(storage)
    batch[:] = -1
    assert [np.asarray(row).tolist() for row in found] == [row.tolist() for row in ROWS]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_rows_on_a_gpu_stay_there() -> None:
    found = rows_of(stored([torch.from_numpy(row).cuda() for row in ROWS]))
    assert all(isinstance(row, torch.Tensor) and row.is_cuda for row in found)
    assert [row.tolist() for row in found] == [row.tolist() for row in ROWS]

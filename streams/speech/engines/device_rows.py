"""Rows of a batch where the model computes: in main memory, or on the GPU without a way through main memory.

In: arrays or tensors of one shape. Out: what CTranslate2 takes, and the rows of what it gives back.
CTranslate2 works on a stream of its own, so whatever PyTorch still does to memory that is handed over is waited for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ctranslate2 import DataType, StorageView
from numpy.typing import NDArray

Rows = NDArray[np.floating[Any]] | torch.Tensor


def stored(rows: Sequence[Rows]) -> StorageView:
    """One batch of rows, which stay where they are: all in main memory, or all on the GPU."""
    tensors = [row for row in rows if isinstance(row, torch.Tensor)]
    if not tensors:
        return StorageView.from_array(np.ascontiguousarray(np.stack(rows)))
    batch = torch.stack(tensors)
    if not batch.is_cuda:
        return StorageView.from_array(batch.numpy())
    torch.cuda.synchronize(batch.device)
    return StorageView.from_array(batch)


def rows_of(storage: StorageView) -> list[Rows]:
    """Each row of a batch, with memory of its own."""
    if storage.dtype == DataType.bfloat16:  # a type that arrays do not have
        storage = storage.to(DataType.float32)
    if storage.device != "cuda":
        return list(np.array(storage))
    rows = torch.as_tensor(storage, device=f"cuda:{storage.device_index}").clone()
    torch.cuda.synchronize(rows.device)
    return list(rows)

"""One thread for torch: small networks are faster so, also on a busy machine, and the bits are the same everywhere."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)

"""Tests of training need torch (requirements/train.txt); without it they are not collected."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if all(map(find_spec, ("torch", "accelerate", "onnx"))) else ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small networks are faster on one thread, also on a busy machine, and the bits are the same everywhere."""
    import torch

    torch.set_num_threads(1)

"""What trains with torch (requirements/train.txt) is not collected without it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_train_lips.py"]

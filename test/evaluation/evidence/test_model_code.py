"""The hash of the model's code: what draws faces is in it, words and what only runs live are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reactdiff_ros.evaluation.evidence.model_code import ROOM, model_code


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOM, tmp_path / "model", ignore=shutil.ignore_patterns("__pycache__")))


def changed(room: Path, name: str, old: str, new: str) -> bool:
    before = model_code.__wrapped__(room)
    text = (room / name).read_text(encoding="utf-8")
    assert old in text
    (room / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return model_code.__wrapped__(room) != before


def test_it_is_of_the_code_and_not_of_the_place(room: Path) -> None:
    assert model_code.__wrapped__(room) == model_code()
    assert len(model_code()) == 12
    int(model_code(), 16)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sampler.py", "eager: float = ", "eager: float = 0.5 * "),
        ("planner.py", "def finished(", "def ended("),
        ("style.py", "PRIOR_S: Final = 10.0", "PRIOR_S: Final = 11.0"),
    ],
)
def test_what_draws_faces_is_in_it(room: Path, name: str, old: str, new: str) -> None:
    assert changed(room, name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sampler.py", '"""How reactions are sampled."""', '"""How they are sampled."""\n    # In steps.'),
        ("diffusion_listener.py", "import", "import sys\nimport"),
    ],
)
def test_words_and_the_live_shell_are_not(room: Path, name: str, old: str, new: str) -> None:
    assert not changed(room, name, old, new)

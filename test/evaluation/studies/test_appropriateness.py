"""Labels of recordings, and what a listener answers to acted emotions of real people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reactdiff_ros import Listener
from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.studies.appropriateness import appropriateness
from reactdiff_ros.recordings.labels import Named, label_of, labelled


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("dreamtalk_w009_angry.mp4", Named("w009", "angry", "angry")),
        ("W009_front_disgusted_level3_001.mp4", Named("w009", "disgust", "disgusted")),
        ("anna_surprised.mov", Named("anna", "surprise", "surprised")),
        ("talk.mp4", None),
        ("angry_customer.mp4", None),
    ],
)
def test_a_name_says_who_shows_what(name: str, named: Named | None) -> None:
    assert label_of(Path(name)) == named


def test_a_folder_without_labels_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"")
    for folder, words in ((tmp_path, "no labelled clip"), (tmp_path / "missing", "cannot be read")):
        with pytest.raises(ReactdiffError, match=words):
            labelled(folder)


def test_a_listener_does_not_smile_at_anger_and_answers_a_smile_and_grief(clips: Any) -> None:
    acted = [clips("emotions") / f"dreamtalk_w009_{label}.mp4" for label in ("angry", "happy", "neutral", "sad")]
    found = appropriateness(acted, seeds=1, progress=lambda share: None).figures
    away = found["minus_neutral"]
    assert away["angry"]["smile"] <= 0.03
    assert away["sad"]["smile"] <= 0.03
    assert away["happy"]["smile"] >= 0.15
    assert away["sad"]["concern"] >= 0.15
    assert found["by_label"]["angry"]["smile_p95"] <= 0.35
    assert abs(found["gaze"]["up_minus_down"]) < 0.08


@pytest.mark.slow
def test_a_listener_is_concerned_while_she_cries_and_not_when_she_laughs(clips: Any) -> None:
    track = Listener(style="warm", seed=3).react(clips("pyfeat_pexels_occlusion_20s.mp4"))
    smile, brows = track.faces[:, list(SMILE)].mean(axis=1), track["browInnerUp"]
    cries, laughs = (track.times >= 1.5) & (track.times < 3.0), track.times >= 14.0
    assert smile[cries].max() < 0.2
    assert brows[cries].mean() > 0.3
    assert smile[laughs].mean() > 0.2
    assert brows[laughs].mean() < 0.15

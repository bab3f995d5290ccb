from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from generated_sets import dualtalk

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX, TRANSLATION
from reactdiff_ros.recordings.datasets.dualtalk import CHANNELS, OBSERVED, recordings
from reactdiff_ros.recordings.datasets.files import DatasetError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dualtalk(tmp_path_factory.mktemp("dualtalk"))


def test_each_conversation_is_read_in_both_directions(root: Path) -> None:
    read = list(recordings(root))
    assert [(r.pair, r.session, r.role) for r in read] == [
        ("UbjUDM1MiGE", "72_000", "speaker2"),
        ("UbjUDM1MiGE", "72_000", "speaker1"),
        ("4V6riHOB4q4", "26", "speaker2"),
        ("4V6riHOB4q4", "26", "speaker1"),
    ]
    assert [r.frames for r in read] == [80, 80, 100, 100]
    np.testing.assert_array_equal(read[0].listener, read[1].speaker.coefficients[0])
    assert read[0].speaker.mesh.all()
    assert not read[0].speaker.affect_observed.any()


def test_channels_are_mapped_by_name_and_unsolved_ones_are_unobserved(root: Path) -> None:
    assert sorted(CHANNELS[:52]) == sorted(BLENDSHAPE_NAMES)
    first = next(iter(recordings(root)))
    raw = np.load(root / "ARKit_npy" / "train" / "UbjUDM1MiGE_sub_video_72_000_speaker2.npy")
    smile = raw[:, CHANNELS.index("mouthSmileRight")]
    np.testing.assert_allclose(first.listener[:, INDEX["mouthSmileRight"]], smile, atol=1e-6)
    yaw = raw[:, CHANNELS.index("headYaw")]
    np.testing.assert_allclose(first.listener[:, HEAD_YAW], yaw - np.median(yaw), atol=1e-5)
    pitch = raw[:, CHANNELS.index("headPitch")]
    np.testing.assert_allclose(first.listener[:, HEAD_PITCH], pitch - np.median(pitch), atol=1e-5)
    unobserved = {*EYE_LOOK, INDEX["tongueOut"], *range(*TRANSLATION.indices(58))}
    assert set(np.flatnonzero(~OBSERVED)) == unobserved


def test_arrays_are_found_beside_the_sound_too(tmp_path: Path) -> None:
    assert len(list(recordings(dualtalk(tmp_path, below=""), voice_of=lambda s, r, t: {}))) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speaker2_arkit": None}, "field speaker2_arkit of a conversation is missing"),
        ({"speaker2_arkit": "../../other.npy"}, "outside of its dataset"),
        ({"speaker2_arkit": "train/none.npy"}, "a file is missing: the ARKit channels"),
        ({"name": None}, "has no name"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, change: dict[str, str | None], words: str) -> None:
    root = dualtalk(tmp_path)
    path = root / "metadata" / "train.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0].update(change)
    path.write_text("\n".join(json.dumps(line) for line in lines))
    with pytest.raises(DatasetError, match=words):
        list(recordings(root))
    told: list[DatasetError] = []
    assert len(list(recordings(root, on_bad=told.append))) == 2
    assert len(told) == 2


def test_no_json_wrong_shapes_and_lengths_are_named(tmp_path: Path) -> None:
    root = dualtalk(tmp_path)
    path = root / "ARKit_npy" / "train" / "UbjUDM1MiGE_sub_video_72_000_speaker1.npy"
    values = np.load(path)
    np.save(path, values[:, :52])
    with pytest.raises(DatasetError, match=r"\(80, 52\) instead of \(frames, 61\)"):
        list(recordings(root))
    np.save(path, values[:50])
    with pytest.raises(DatasetError, match="50 and 80 frames"):
        list(recordings(root))
    (root / "metadata" / "train.jsonl").write_text("{no json\n")
    with pytest.raises(DatasetError, match="line 1"):
        list(recordings(root))
    with pytest.raises(DatasetError, match="list of the ood split"):
        list(recordings(root, "ood"))

"""A page with people and faces, from a clip of the demo head."""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation.report.gallery import COLUMNS, TILE, Variant, gallery, names_of
from reactdiff_ros.evaluation.studies.appropriateness import appropriateness
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import UINT8

RULES = [Variant(policy="rules")]


def film(path: Path, pictures: Sequence[UINT8]) -> Path:
    """A film without sound, 25 pictures a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for bgr in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(bgr, format="bgr24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo speaker."""
    with av.open(str(demo_clip_path())) as given:
        pictures = [frame.to_ndarray(format="bgr24") for frame in islice(given.decode(video=0), 25)]
    return film(tmp_path_factory.mktemp("clip") / "anna_happy.mp4", pictures)


def test_a_page_shows_each_person_and_a_row_of_faces_for_each_listener(clip: Path, tmp_path: Path) -> None:
    variants, other = [*RULES, Variant(policy="mime", seed=3)], tmp_path / clip.name
    other.symlink_to(clip)
    with pytest.raises(ConfigError, match="no look"):
        gallery([clip], variants, tmp_path / "page", look="nosuch")
    with pytest.raises(ConfigError, match="nosuch"):
        gallery([clip], [Variant(style="nosuch")], tmp_path / "page")
    page, left_out = gallery([clip, other], variants, tmp_path / "page", moments=(0.1, 0.5, 50.0))
    text = page.read_text()
    assert not left_out
    assert "Left out" not in text
    assert "natural rules" in text
    assert "natural mime seed 3" in text
    assert "no moments after that are shown" in text
    shown = [f"anna_happy{end}" for end in (".png", "_0.mp4", "_1.mp4", "_2.png", "_2_0.mp4", "_2_1.mp4")]
    assert re.findall(r'src="([^"]+)"', text) == shown
    assert all(page.with_name(name).stat().st_size for name in shown)
    rows, columns, _ = cv2.imread(str(page.with_name("anna_happy.png"))).shape
    assert (columns, rows > 3 * TILE) == (2 * TILE, True)
    with pytest.raises(ReactdiffError, match="cannot be made"):
        gallery([clip], variants, tmp_path / "page", videos=False)
    assert names_of([Path("x.mp4"), Path("x_2.mov"), Path("A/x.mp4"), Path("x_2.mp4")]) == ["x", "x_2", "x_3", "x_2_2"]


def test_clips_without_a_person_are_left_out_each_in_one_sentence(clip: Path, tmp_path: Path) -> None:
    grey, text, missing = (tmp_path / f"{name}_sad.mp4" for name in ("grey", "text", "missing"))
    film(grey, [np.full((240, 320, 3), 128, np.uint8)] * 25)
    text.write_bytes(b"no video")
    unusable = {grey: "no face was seen", text: "cannot be read", missing: "no such media file"}
    page, left_out = gallery([*unusable, clip], RULES, tmp_path / "page", videos=False)
    for sentence, (path, words) in zip(left_out, unusable.items(), strict=True):
        assert words in sentence
        assert f"({path})" in sentence
        assert f"({path})" in page.read_text()
    assert cv2.imread(str(page.with_name("anna_happy.png"))).shape[1] == COLUMNS * TILE
    with pytest.raises(ReactdiffError, match="no clip could be used"):
        gallery(list(unusable), RULES, tmp_path / "none", videos=False)
    assert not (tmp_path / "none").exists(), "the next attempt can use the folder"
    # Figures of acted emotions leave them out alike.
    found = appropriateness([clip, *unusable], seeds=1, progress=lambda share: None).figures
    assert found["without_sound"] == [clip.name]
    assert {label: row["n"] for label, row in found["by_label"].items()} == {"happy": 1}
    assert found["skipped"].keys() == {path.name for path in unusable}

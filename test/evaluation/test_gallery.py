"""A page with people and faces, from a clip of the demo head."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation.gallery import COLUMNS, TILE, Variant, gallery
from reactdiff_ros.simulator.rendered import demo_clip_path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two seconds of the demo speaker."""
    import av

    path = tmp_path_factory.mktemp("clip") / "anna_happy.mp4"
    with av.open(str(demo_clip_path())) as given, av.open(str(path), "w") as out:
        source = given.streams.video[0]
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        for number, frame in enumerate(given.decode(source)):
            if number == 50:
                break
            picture = av.VideoFrame.from_ndarray(frame.to_ndarray(format="bgr24"), format="bgr24")
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def test_a_page_shows_the_person_and_a_row_of_faces_for_each_listener(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    variants = [Variant(policy="rules"), Variant(policy="mime", seed=3)]
    page = gallery([clip, broken], variants, tmp_path / "page", videos=False)
    text = page.read_text()
    assert "natural rules" in text
    assert "natural mime seed 3" in text
    assert "Left out" in text
    assert "broken.mp4" in text
    sheet = cv2.imread(str(page.with_name("anna_happy.png")))
    assert sheet.shape[1] == COLUMNS * TILE
    assert sheet.shape[0] > 3 * TILE
    with pytest.raises(ReactdiffError, match="cannot be made"):
        gallery([clip], variants, tmp_path / "page", videos=False)


def test_what_cannot_be_drawn_is_refused_before_the_work(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no look"):
        gallery([clip], [Variant()], tmp_path / "page", look="nosuch")
    with pytest.raises(ConfigError):
        gallery([clip], [Variant(style="nosuch")], tmp_path / "page")
    assert not (tmp_path / "page").exists()
    with pytest.raises(ReactdiffError, match="no clip could be used"):
        gallery([tmp_path / "missing.mp4"], [Variant(policy="rules")], tmp_path / "page", videos=False)

"""Bags are whole or not there, equal for equal content, and never written over."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")

from bag_making import START, STEP, chunk, picture, speaker_bag

from reactdiff_ros import messages
from reactdiff_ros.capture.media import ClipPicture, ClipSound
from reactdiff_ros.errors import MediaError, MessageError
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.types import ExpressionFrame

pytestmark = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])


def content(folder):
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def face(stamp):
    return ExpressionFrame(stamp, np.full(58, 0.25, np.float32), "idle", ("gaze", "blink"), None, stamp, None, None)


def test_the_same_content_is_the_same_bytes(tmp_path, storage):
    study = Study("s1", seed=3)
    a = speaker_bag(tmp_path / "a", storage=storage, study=study)
    b = speaker_bag(tmp_path / "elsewhere" / "b", storage=storage, study=study)
    assert content(a) == content(b)
    c = speaker_bag(tmp_path / "c", storage=storage, study=Study("s2", seed=3))
    assert content(a) != content(c)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "c", "elsewhere"]


def test_what_is_written_comes_back(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage=storage) as bag:
        for k in range(5):
            bag.raw_picture(START + k * STEP, picture(k))
            bag.sound(chunk(k, START + k * STEP))
            bag.expression(face(START + k * STEP))
    source = BagSource(tmp_path / "bag")
    items = list(source.pictures_and_sound())
    assert [type(i) for i in items] == [ClipPicture, ClipSound] * 5
    assert [i.offset_ns for i in items[::2]] == [START + k * STEP for k in range(5)]
    np.testing.assert_array_equal(items[4].bgr, picture(2))
    np.testing.assert_array_equal(items[5].samples, chunk(2, 0).samples)
    faces = [messages.expression_value(m.message) for m in source.messages(["/listener/expression"])]
    assert len(faces) == 5
    np.testing.assert_array_equal(faces[1].coefficients, face(0).coefficients)
    assert (faces[1].stamp_ns, faces[1].mode, faces[1].layers) == (START + STEP, "idle", ("gaze", "blink"))
    assert (faces[1].picture_stamp_ns, faces[1].sound_stamp_ns) == (None, START + STEP)
    assert source.notes == []


def test_what_is_there_stays(tmp_path, storage):
    (tmp_path / "bag").mkdir()
    with pytest.raises(MediaError, match="something of this name already exists"):
        BagWriter(tmp_path / "bag", storage=storage)
    late = BagWriter(tmp_path / "late", storage=storage)
    late.sound(chunk(1, START))
    (tmp_path / "late").write_text("mine")
    with pytest.raises(MediaError, match="something of this name already exists"):
        late.close()
    assert (tmp_path / "late").read_text() == "mine"


def test_an_error_leaves_nothing_behind(tmp_path, storage):
    with pytest.raises(MessageError), BagWriter(tmp_path / "bag", storage=storage) as bag:
        bag.raw("/odd", "lab_msgs/msg/Odd", START, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_readable_by_its_user_alone_also_what_is_kept_of_an_unfinished_one(tmp_path, storage):
    before = os.umask(0)
    try:
        speaker_bag(tmp_path / "made" / "bag", storage=storage)
        lost = BagWriter(tmp_path / "lost", storage=storage, keep_partial=True)
        for k in range(3):
            lost.sound(chunk(k, START + k * STEP))
        lost.abort()
    finally:
        os.umask(before)
    folders = [tmp_path / "made", tmp_path / "made" / "bag", tmp_path / "lost.partial"]
    assert [stat.S_IMODE(p.stat().st_mode) for p in folders] == [0o700] * 3
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file()} == {0o600}
    assert lost.partial == folders[2]
    assert len(list(BagSource(lost.partial).pictures_and_sound())) == 3


def test_a_full_disk_is_one_sentence(tmp_path, storage, monkeypatch):
    bag = BagWriter(tmp_path / "bag", storage=storage, keep_partial=True)
    bag.sound(chunk(0, START))

    def full(*_):
        if storage == "sqlite3":
            raise sqlite3.OperationalError("database or disk is full")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bag._writer.storage, "write", full)
    with pytest.raises(MediaError, match=r"the disk is full .*bag.*: .*what was written is in .*bag\.partial"):
        bag.sound(chunk(1, START + STEP))
    bag.abort()
    assert len(list(BagSource(bag.partial).pictures_and_sound())) == 1

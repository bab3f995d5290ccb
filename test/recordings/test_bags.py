"""Bags: whole or not there when they are written, and read as labs have them, with odd clocks and damaged files."""

import errno
import os
import shutil
import sqlite3
import stat
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.clock import NS

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")

from bag_making import START, STEP, chunk, picture, speaker_bag

from reactdiff_ros import messages
from reactdiff_ros.capture.media import ClipPicture, ClipSound
from reactdiff_ros.errors import MediaError, MessageError
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.read import BACK_NS, BagSource, stamped, together
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.types import ExpressionFrame

both_storages = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])


def read(path, *topics):
    source = BagSource(path, *topics)
    return source, list(source.pictures_and_sound())


@both_storages
def test_what_is_written_comes_back_and_the_same_content_is_the_same_bytes(tmp_path, storage):
    shown = np.full(58, 0.25, np.float32)
    for name in ("a", "b", "c"):
        with BagWriter(tmp_path / name, storage=storage, study=Study("s2" if name == "c" else "s1", seed=3)) as bag:
            for k in range(5):
                at = START + k * STEP
                bag.raw_picture(at, picture(k))
                bag.sound(chunk(k, at))
                bag.expression(ExpressionFrame(at, shown, "idle", ("gaze", "blink"), None, at, None, None))
    a, b, c = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("a", "b", "c"))
    assert a == b != c
    source, items = read(tmp_path / "a")
    assert [type(i) for i in items] == [ClipPicture, ClipSound] * 5
    assert [i.offset_ns for i in items[::2]] == [START + k * STEP for k in range(5)]
    np.testing.assert_array_equal(items[4].bgr, picture(2))
    np.testing.assert_array_equal(items[5].samples, chunk(2, 0).samples)
    _, face, *_ = [messages.expression_value(m.message) for m in source.messages(["/listener/expression"])]
    np.testing.assert_array_equal(face.coefficients, shown)
    assert (face.stamp_ns, face.picture_stamp_ns, face.sound_stamp_ns) == (START + STEP, None, START + STEP)
    assert source.notes == []


@both_storages
def test_what_is_there_stays_and_an_error_leaves_nothing_behind(tmp_path, storage):
    with pytest.raises(MessageError), BagWriter(tmp_path / "bag", storage=storage) as bag:
        bag.raw("/odd", "lab_msgs/msg/Odd", START, b"")
    assert list(tmp_path.iterdir()) == []
    late = BagWriter(tmp_path / "late", storage=storage)
    late.sound(chunk(1, START))
    (tmp_path / "late").write_text("mine")
    for write in (late.close, lambda: BagWriter(tmp_path / "late", storage=storage)):
        with pytest.raises(MediaError, match="already exists"):
            write()
    assert (tmp_path / "late").read_text() == "mine"


@both_storages
def test_a_recording_is_its_users_alone_also_what_is_kept_when_the_disk_is_full(tmp_path, storage, monkeypatch):
    def full(*_):
        if storage == "sqlite3":
            raise sqlite3.OperationalError("database or disk is full")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = os.umask(0)
    try:
        speaker_bag(tmp_path / "made" / "bag", storage=storage)
        lost = BagWriter(tmp_path / "lost", storage=storage, keep_partial=True)
        for k in range(3):
            lost.sound(chunk(k, START + k * STEP))
        monkeypatch.setattr(lost._writer.storage, "write", full)
        with pytest.raises(MediaError, match=r"the disk is full .*what was written is in .*lost\.partial"):
            lost.sound(chunk(3, START + 3 * STEP))
        lost.abort()
    finally:
        os.umask(before)
    folders = [tmp_path / "made", tmp_path / "made" / "bag", tmp_path / "lost.partial"]
    assert [stat.S_IMODE(p.stat().st_mode) for p in folders] == [0o700] * 3
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file()} == {0o600}
    assert lost.partial == folders[2]
    assert len(read(lost.partial)[1]) == 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = tmp_path_factory.mktemp("whole")
    return {s: speaker_bag(made / s, storage=s, frames=400, raw=True) for s in ("mcap", "sqlite3")}


@both_storages
def test_a_bag_is_read_as_it_comes(whole, storage):
    """400 pictures of 9 KB; a reader that holds them all would need 3.7 MB more."""
    source = BagSource(whole[storage])
    assert source.duration_s == pytest.approx(399 * STEP / NS)
    items = source.pictures_and_sound()
    next(items)
    tracemalloc.start()
    assert sum(1 for _ in items) == 799
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (6 << 20 if storage == "mcap" else 2 << 20)  # a chunk of mcap is 1 MiB, and is unpacked


def test_no_bag_is_one_sentence(tmp_path):
    for name, content in (("empty.mcap", b""), ("one.bag", b"#ROSBAG V2.0\n"), ("text.mcap", 9 * b"no bag ")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    for name, sentence in (
        ("nothing", "no such bag"), ("empty.mcap", "no bytes"), ("folder", "not a rosbag2 recording"),
        ("one.bag", "ROS 1 bag"), ("text.mcap", "the bag cannot be read"),
    ):  # fmt: skip
        with pytest.raises(MediaError, match=sentence) as refused:
            BagSource(tmp_path / name)
        assert str(tmp_path / name) in str(refused.value)


@both_storages
def test_a_cut_file_is_a_sentence_or_gives_what_it_has(whole, tmp_path, storage):
    bag = shutil.copytree(whole[storage], tmp_path / "bag")
    file = next(f for f in bag.iterdir() if f.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        found = read(bag)[0].notes
    except MediaError as error:
        found = [str(error)]
    assert any("cannot be read" in sentence or "ends in the middle" in sentence for sentence in found), found


def test_two_cameras_ask_for_a_name(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.picture(START, picture(0), topic="/left/image_raw/compressed")
        for k, topic in enumerate(("/left/image_raw", "/right/image_raw", "/right/depth/image_rect")):
            bag.raw_picture(START, picture(k), topic=topic)
    for name, words in (("", "several cameras: /left/image_raw/compressed, /right/image_raw "), ("up", "no topic /up")):
        with pytest.raises(MediaError, match=words):
            BagSource(tmp_path / "bag", name)
    np.testing.assert_array_equal(read(tmp_path / "bag", "right/image_raw")[1][0].bgr, picture(1))


def test_pictures_that_lie_are_left_out_and_counted(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(6):
            message = interfaces.empty(interfaces.RAW)
            message.header.stamp.sec, message.height, message.width = 100 + k, 480, 640
            message.encoding, message.step, message.data = ("rgb8", "nv99")[k % 2], 1920, np.zeros(30 + k, np.uint8)
            bag.message("/camera/image_raw", (100 + k) * NS, message)
        bag.raw_picture(107 * NS, picture(1))
        bag.raw("/camera/image_raw", interfaces.RAW, 108 * NS, b"\0\1\0\0\7")
    source, items = read(tmp_path / "bag")
    assert ([type(i) for i in items], source.damaged_packets) == ([ClipPicture], 7)
    assert sorted(int(note.split()[0]) for note in source.notes if "messages were left out" in note) == [1, 3, 3]


@pytest.mark.parametrize("kind", [interfaces.BYTES, interfaces.BYTES_STAMPED])
def test_sound_of_ros_drivers(tmp_path, kind):
    length_ns, about = NS // 50, interfaces.empty(interfaces.BYTES_INFO)
    about.sample_rate, about.channels, about.coding_format, about.sample_format = 16000, 1, "wave", "S16LE"
    with BagWriter(tmp_path / "bag") as bag:
        bag.message("/audio_info", START, about)
        for k in range(10):
            sound = message = interfaces.empty(kind)
            if kind == interfaces.BYTES_STAMPED:
                messages.fill_header(message.header, START + k * length_ns)
                sound = message.audio
            sound.data = np.full(320, k, "<i2").view(np.uint8)
            bag.message("/audio", START + (k + 1) * length_ns + (k % 3) * 2_000_000, message)
    _, items = read(tmp_path / "bag")
    assert [i.offset_ns for i in items] == [START + k * length_ns for k in range(10)]
    assert (items[3].rate_hz, items[3].samples.shape, int(items[3].samples[0, 0])) == (16000, (320, 1), 3)


def test_sound_of_mgonzs13(tmp_path):
    types = interfaces.store_of(interfaces.SAMPLES_STAMPED)
    t = types.types
    none = {f"{kind}_data": np.zeros(0, kind) for kind in ("int32", "int16", "int8", "uint8")}
    samples = t["audio_common_msgs/msg/AudioData"](float32_data=np.full(320, 0.5, np.float32), **none)
    info = t["audio_common_msgs/msg/AudioInfo"](format=1, channels=2, rate=16000, chunk=160)
    header = t["std_msgs/msg/Header"](stamp=t["builtin_interfaces/msg/Time"](sec=100, nanosec=0), frame_id="")
    audio = t["audio_common_msgs/msg/Audio"](audio_data=samples, info=info)
    cdr = types.serialize_cdr(t[interfaces.SAMPLES_STAMPED](header=header, audio=audio), interfaces.SAMPLES_STAMPED)
    with BagWriter(tmp_path / "bag") as bag:
        bag.raw("/audio_capture", interfaces.SAMPLES_STAMPED, 100 * NS, bytes(cdr))
    _, (item,) = read(tmp_path / "bag")
    assert (item.rate_hz, item.samples.shape, int(item.samples[0, 0])) == (16000, (160, 2), 16383)


def test_stamps_that_jump_back_or_lack_are_the_receive_time(tmp_path):
    stamps = {"picture_stamp": lambda t: t - 50 * NS * (t > START + 2 * NS), "sound_stamp": lambda _: 0}
    source, items = read(speaker_bag(tmp_path / "bag", frames=100, **stamps))
    assert [i.offset_ns for i in items if isinstance(i, ClipPicture)] == [START + k * STEP for k in range(100)]
    assert any("jump back by 50.0 s" in n for n in source.notes)
    assert any("/audio: 100 messages have no stamp" in n for n in source.notes)


def test_clocks_that_differ_are_shifted_onto_the_recorders():
    regular = START + np.arange(100) * STEP
    camera, audio = stamped("/camera", regular - 90 * NS, regular), stamped("/audio", regular, regular + STEP // 2)
    lines = together({"/camera": camera, "/audio": audio})
    for line in lines.values():
        np.testing.assert_array_equal(line.stamps, regular)
    assert "90.0 s off" in lines["/camera"].notes[0]


@given(st.lists(st.tuples(st.integers(-(2**31) * NS, 2**31 * NS), st.integers(0, 10 * NS)), min_size=1, max_size=40))
def test_time_never_goes_far_back_with_any_stamps(pairs):
    received = np.cumsum([r for _, r in pairs]) + START
    out = stamped("/camera", np.array([s for s, _ in pairs]), received).stamps
    assert (np.maximum.accumulate(out) - out <= BACK_NS).all()

"""Bags as labs have them: two cameras, odd clocks, damaged files and pictures, sound of other packages."""

from __future__ import annotations

import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.clock import NS

pytest.importorskip("rosbags", reason="rosbags is not installed (requirements/evaluate.txt)")

from bag_making import START, STEP, picture, speaker_bag

from reactdiff_ros.capture.media import ClipPicture
from reactdiff_ros.errors import MediaError
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.read import BACK_NS, BagSource, chained, restamped, stamped, together
from reactdiff_ros.recordings.bags.write import BagWriter

STORAGES = ("mcap", "sqlite3")


def read(path, *topics):
    source = BagSource(path, *topics)
    return source, list(source.pictures_and_sound())


def kinds(items):
    pictures = sum(isinstance(i, ClipPicture) for i in items)
    return pictures, len(items) - pictures


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {s: speaker_bag(tmp_path_factory.mktemp(s) / "bag", storage=s, frames=400, raw=True) for s in STORAGES}


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_is_read_as_it_comes(whole, storage):
    """400 pictures of 9 KB; a reader that holds them all would need 3.7 MB more."""
    source = BagSource(whole[storage])
    assert source.duration_s == pytest.approx(399 * STEP / NS)
    items = source.pictures_and_sound()
    next(items)
    tracemalloc.start()
    count = sum(1 for _ in items)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 799
    assert peak < (6 << 20 if storage == "mcap" else 2 << 20)  # a chunk of mcap is 1 MiB, and is unpacked


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("nothing", None, "there is no such bag"), ("empty.mcap", b"", "its file has no bytes"),
        (".", None, "not a rosbag2 recording"), ("one.bag", b"#ROSBAG V2.0\n", "ROS 1 bag"),
        ("text.mcap", b"this is not what it claims to be, by far not", "the bag cannot be read"),
    ],
)  # fmt: skip
def test_no_bag_is_one_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=sentence) as refused:
        BagSource(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("share", "metadata"), [(0.001, True), (0.1, False), (0.5, True), (0.5, False), (0.99, True)])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_cut_file_is_a_sentence_or_gives_what_it_has(whole, tmp_path, storage, share, metadata):
    bag = shutil.copytree(whole[storage], tmp_path / "bag")
    file = next(f for f in bag.iterdir() if f.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    if not metadata:
        (bag / "metadata.yaml").unlink()
    try:
        found = read(bag)[0].notes
    except MediaError as error:
        found = [str(error)]
    assert any("cannot be read" in sentence or "ends in the middle" in sentence for sentence in found), found
    assert not any("\n" in sentence for sentence in found)


def test_two_cameras_ask_for_a_name(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(4):
            bag.picture(START + k * STEP, picture(k), topic="/left/image_raw/compressed")
            bag.raw_picture(START + k * STEP, picture(k), topic="/left/image_raw")
            bag.raw_picture(START + k * STEP, picture(k + 10), topic="/right/image_raw")
            bag.raw_picture(START + k * STEP, picture(k), topic="/right/depth/image_rect")
    with pytest.raises(
        MediaError, match=r"several cameras: /left/image_raw/compressed, /right/image_raw .*--camera-topic"
    ):
        BagSource(tmp_path / "bag")
    source, items = read(tmp_path / "bag", "right/image_raw")
    np.testing.assert_array_equal(items[0].bgr, picture(10))
    assert BagSource(tmp_path / "bag", "/left/image_raw").picture_topic == "/left/image_raw"
    with pytest.raises(MediaError, match=r"has no topic /up .*: its topics of pictures: /left"):
        BagSource(tmp_path / "bag", "up")
    with pytest.raises(MediaError, match="no pictures and no sound"):
        BagSource(tmp_path / "bag", "none")
    assert source.notes == []


def test_stamps_that_jump_back_or_lack_are_the_receive_time(tmp_path):
    def jump(t):
        return t - 50 * NS * (t > START + 2 * NS)

    source, items = read(speaker_bag(tmp_path / "bag", frames=100, picture_stamp=jump, sound_stamp=lambda _: 0))
    pictures = [i.offset_ns for i in items if isinstance(i, ClipPicture)]
    assert pictures == [START + k * STEP for k in range(100)]
    assert any("jump back by 50.0 s" in n for n in source.notes)
    assert any("/audio: 100 messages have no stamp" in n for n in source.notes)


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
    assert kinds(items) == (1, 0)
    assert source.damaged_packets == 7
    assert sum("messages were left out" in n for n in source.notes) == 3
    assert any(
        n.startswith("3 messages were left out: /camera/image_raw: the picture has 30 bytes") for n in source.notes
    )


def drivers_bag(path, *, stamped, info=None, samples=320):
    with BagWriter(path) as bag:
        if info is not None:
            about = interfaces.empty(interfaces.BYTES_INFO)
            about.sample_rate, about.channels, about.coding_format, about.sample_format = info
            bag.message("/audio_info", START, about)
        for k in range(10):
            data = np.full(samples, k, "<i2").view(np.uint8)
            received = START + (k + 1) * samples * NS // 16000 + (k % 3) * 2_000_000
            if stamped:
                message = interfaces.empty(interfaces.BYTES_STAMPED)
                stamp = START + k * samples * NS // 16000
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, NS)
                message.audio.data = data
            else:
                message = interfaces.empty(interfaces.BYTES)
                message.data = data
            bag.message("/audio", received, message)
    return path


@pytest.mark.parametrize("stamped", [True, False])
def test_sound_of_ros_drivers(tmp_path, stamped):
    _, items = read(drivers_bag(tmp_path / "bag", stamped=stamped, info=(16000, 1, "wave", "S16LE")))
    assert kinds(items) == (0, 10)
    assert np.diff([i.offset_ns for i in items]).tolist() == [20_000_000] * 9
    assert items[0].offset_ns == START
    assert (items[3].rate_hz, items[3].samples.shape, int(items[3].samples[0, 0])) == (16000, (320, 1), 3)


def test_sound_of_mgonzs13(tmp_path):
    types = interfaces.store_of(interfaces.SAMPLES_STAMPED)
    t = types.types
    none = {f"{kind}_data": np.zeros(0, kind) for kind in ("int32", "int16", "int8", "uint8")}
    audio_data = t["audio_common_msgs/msg/AudioData"](float32_data=np.full(320, 0.5, np.float32), **none)
    info = t["audio_common_msgs/msg/AudioInfo"](format=1, channels=2, rate=16000, chunk=160)
    stamp = t["builtin_interfaces/msg/Time"](sec=100, nanosec=0)
    message = t[interfaces.SAMPLES_STAMPED](
        header=t["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        audio=t["audio_common_msgs/msg/Audio"](audio_data=audio_data, info=info),
    )
    with BagWriter(tmp_path / "bag") as bag:
        cdr = types.serialize_cdr(message, interfaces.SAMPLES_STAMPED)
        bag.raw("/audio_capture", interfaces.SAMPLES_STAMPED, 100 * NS, bytes(cdr))
    _, (item,) = read(tmp_path / "bag")
    assert (item.rate_hz, item.samples.shape, int(item.samples[0, 0])) == (16000, (160, 2), 16383)


def test_stamps_are_patched_in_either_byte_order():
    stamp = 7 * NS + 5
    assert restamped(b"\0\1\0\0" + bytes(8) + b"rest", stamp) == b"\0\1\0\0\7\0\0\0\5\0\0\0rest"
    assert restamped(b"\0\0\0\0" + bytes(8) + b"rest", stamp) == b"\0\0\0\0\0\0\0\7\0\0\0\5rest"


# ---- Times of messages: used where they can be trusted, corrected by the recorder's clock where not

SECOND = 100 * NS
regular = SECOND + np.arange(100) * NS // 25


def test_clocks_that_differ_are_shifted_onto_the_recorders():
    picture = stamped("/camera", regular - 90 * NS, regular)
    sound = stamped("/audio", regular, regular + 20_000_000)
    lines = together({"/camera": picture, "/audio": sound})
    np.testing.assert_array_equal(lines["/camera"].stamps, regular)
    np.testing.assert_array_equal(lines["/audio"].stamps, regular)
    assert "90.0 s off" in lines["/camera"].notes[0]
    assert lines["/audio"].notes == ()


def test_sound_without_stamps_is_one_sound():
    """Also after a gap."""
    jitter = np.random.default_rng(2).integers(0, 15_000_000, 50)
    received = SECOND + 20_000_000 * np.arange(1, 51) + jitter
    received[30:] += NS
    steps = np.diff(chained("/audio", np.full(50, 20_000_000), received).stamps)
    assert (np.delete(steps, 29) == 20_000_000).all()
    assert steps[29] == pytest.approx(NS + 20_000_000, abs=15_000_000)


@given(st.lists(st.tuples(st.integers(-(2**31) * NS, 2**31 * NS), st.integers(0, 10 * NS)), min_size=1, max_size=40))
def test_time_never_goes_far_back_with_any_stamps(pairs):
    received = np.cumsum([r for _, r in pairs]) + SECOND
    out = stamped("/camera", np.array([s for s, _ in pairs]), received).stamps
    assert (np.maximum.accumulate(out) - out <= BACK_NS).all()

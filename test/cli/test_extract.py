"""reactdiff extract: a file holds what the live path gives, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from generated_sets import react

from reactdiff_ros.capture.decode import encode_jpeg
from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.cli.main import main
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.evaluation.extraction import voice_columns
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.grid import SpeakerGrid, onto_grid
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT, SpeakerBatch, featurize
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.recordings import load, recordings
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, Sound, SpeakerFrame, Voice

MAY = "real3dportrait_may_5s.mp4"
Clips = Callable[[str], Path]


def live_frames(path: Path) -> list[SpeakerFrame]:
    """What the listener is given when the clip is played live in steps of the face's 20 ms."""
    listener = make_listener("idle", seed=3)
    session = ListeningSession(SpeakerPerception(), listener, ExpressionEngine(seed=3))
    waiting = list(MediaClip(path).pictures_and_sound())
    given: list[SpeakerFrame] = []
    now_ns = 0
    while waiting or now_ns < 6 * NS:
        while waiting and waiting[0].offset_ns <= now_ns:
            item = waiting.pop(0)
            if isinstance(item, ClipPicture):
                session.push_picture(Picture(item.offset_ns, item.bgr))
            else:
                session.push_sound(Sound(item.offset_ns, item.rate_hz, item.samples))
        session.advance(now_ns)
        given.extend(session.speaker_frames)
        now_ns += NS // 50
    return given


class FeaturesAsTokens:
    """Stands for the encoder: a token is the features and flags that the encoder would see."""

    shape: ClassVar = {"width": FEATURE_COUNT + STREAM_COUNT}

    def new_cache(self) -> FeaturesAsTokens:
        return self

    def past(self) -> FeaturesAsTokens:
        return self

    def push(self, new: str) -> None:
        assert new == "next"

    def encode(self, features: Any, observed: Any, cache: Any) -> tuple[Any, str]:
        return np.concatenate([features, observed], -1), "next"


def test_a_file_holds_what_the_live_path_gives_frame_by_frame(
    clips: Clips, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other, path = clips("emotions/dreamtalk_m030_angry.mp4"), clips(MAY)
    assert main(["extract", str(other), str(path), "--output", str(tmp_path), "--json"]) == 0
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    assert [Path(entry["file"]).name for entry in answer["written"]] == [f"{other.stem}.npz", f"{path.stem}.npz"]
    assert "dreamtalk_m030_angry.mp4 has no sound" in captured.err

    assert {p.stat().st_mode & 0o777 for p in tmp_path.glob("*.npz")} == {0o600}
    written = load(tmp_path / f"{path.stem}.npz")
    frames = live_frames(path)
    assert written.frames == len(frames) == 125
    assert written.speaker.mesh.mean() > 0.95
    assert written.speaker.microphone.mean() > 0.95
    np.testing.assert_array_equal(written.stamps_ns, [f.stamp_ns for f in frames])
    np.testing.assert_array_equal(written.speaker.coefficients[0], [f.coefficients for f in frames])
    np.testing.assert_array_equal(written.speaker.confidence[0], [f.confidence for f in frames])
    voices = [f.voice for f in frames]
    known = [v for v in voices if v is not None]
    assert [v is not None for v in voices] == written.speaker.microphone[0].tolist()
    on = written.speaker.microphone[0]
    np.testing.assert_array_equal(written.speaker.mfcc[0][on], [v.mfcc for v in known])
    np.testing.assert_array_equal(written.speaker.pause_s[0][on], np.float32([v.pause_s for v in known]))

    grid = SpeakerGrid(FeaturesAsTokens(), keep=1000)  # type: ignore[arg-type]
    for frame in frames:
        grid.push(frame)
    grid.settle()
    tokens = np.concatenate(featurize(written.speaker), -1)[0]
    np.testing.assert_array_equal([slot.token for slot in grid.slots], tokens)


def test_two_views_become_a_training_recording_in_both_directions(
    clips: Clips, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a, b = clips(MAY), clips("spectre_mead_m030_angry_3s.mp4")
    arguments = ["--pair", str(a), str(b), "--both-roles", "--people", "may-m030", "--output", str(tmp_path), "--json"]
    assert main(["extract", *arguments]) == 0
    there, back = sorted(recordings(tmp_path), key=lambda r: r.role, reverse=True)
    assert (there.role, back.role) == (b.stem, a.stem)
    assert there.pair == back.pair == "may-m030"
    assert there.session == back.session
    assert there.frames == back.frames == 82
    np.testing.assert_array_equal(there.listener, np.where(there.observed, back.speaker.coefficients[0], 0))
    seen = back.speaker.confidence[0] >= 0.3
    assert (there.observed <= seen).all()
    assert there.observed.mean() > 0.5
    assert not there.observed[:, 5].any()  # cheekPuff: landmarks cannot show it


def test_a_bad_file_is_one_sentence_and_the_rest_goes_on(
    clips: Clips, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good, broken = clips("emotions/dreamtalk_m030_angry.mp4"), tmp_path / "broken.mp4"
    broken.write_bytes(b"no film at all" * 99)
    out = tmp_path / "out"
    arguments = ["extract", str(broken), str(tmp_path / "none.mp4"), str(good), "--output", str(out), "--json"]
    assert main(arguments) == 1
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    assert len(answer["failed"]) == 2
    assert len(answer["written"]) == 1
    assert sum("broken.mp4" in line for line in captured.err.splitlines()) == 1
    assert "there is no such media file" in captured.err
    assert [p.name for p in out.iterdir()] == [f"{good.stem}.npz"]

    before = (out / f"{good.stem}.npz").stat().st_mtime_ns
    assert main(["extract", str(good), "--output", str(out), "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["kept"] == [str(out / f"{good.stem}.npz")]
    assert "exists and is kept" in captured.err
    assert (out / f"{good.stem}.npz").stat().st_mtime_ns == before
    assert main(["extract", str(good), "--output", str(out), "--force"]) == 0
    assert (out / f"{good.stem}.npz").stat().st_mtime_ns > before


def test_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "--output", str(tmp_path)]) == 2
    assert main(["extract", "a/x.mp4", "b/x.mp4", "--output", str(tmp_path)]) == 2
    assert "would both be written" in capfd.readouterr().err


def test_sound_alone_is_perceived_with_the_face_unobserved(
    clips: Clips, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "voice.wav"
    cut(clips("multitalk_dialogue_man.wav"), path, seconds=3)
    assert main(["extract", str(path), "--output", str(tmp_path)]) == 0
    assert "has no pictures" in capfd.readouterr().err
    got = load(tmp_path / "voice.npz")
    assert not got.speaker.camera.any()
    assert got.speaker.microphone.mean() > 0.9
    # The voice of a data set's sound goes the same way.
    samples = np.concatenate([i.samples for i in MediaClip(path).sound()])
    rate = next(MediaClip(path).sound()).rate_hz
    columns = voice_columns(samples, rate, got.frames)
    slots = (got.stamps_ns // 40_000_000).astype(int)
    keep = slots < got.frames
    for name in ("speech_probability", "mfcc", "loudness_dbfs"):
        np.testing.assert_allclose(columns[name][slots[keep]], getattr(got.speaker, name)[0][keep], atol=1e-4)


def cut(source: Path, target: Path, seconds: float) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream("pcm_s16le", rate=read.streams.audio[0].rate, layout="mono")
        resampler = av.AudioResampler("s16", "mono", read.streams.audio[0].rate)
        for frame in read.decode(audio=0):
            if frame.time >= seconds:
                break
            for part in resampler.resample(frame):
                write.mux(stream.encode(part))
        write.mux(stream.encode(None))


def frame_at(ms: float, smile: float) -> SpeakerFrame:
    values = np.full(58, smile, np.float32)
    stamp = round(ms * 1e6)
    voice = Voice(0.0, False, np.zeros(26, np.float32), 0.0, -60.0, 0.0, 0.0)
    return SpeakerFrame(
        stamp, stamp, stamp, 1, True, True, values, np.ones(58, np.float32), 1.0, None, None, None, voice
    )


def test_the_grid_keeps_the_newest_holds_for_a_while_and_then_knows_nothing() -> None:
    track = onto_grid([frame_at(85, 0.1), frame_at(100, 0.2), frame_at(119, 0.3), frame_at(600, 0.4)])
    smiles = track.batch.coefficients[0, :, 0]
    assert track.first == 2
    np.testing.assert_allclose(smiles, [0.3] * 9 + [0.0] * 4 + [0.4], atol=1e-6)
    assert track.batch.mesh[0].tolist() == [True] * 9 + [False] * 4 + [True]
    assert track.stamps_ns.tolist() == [119_000_000] * 9 + [-1] * 4 + [600_000_000]
    assert track.age.tolist() == [*range(13), 0]
    assert all(getattr(track.batch, f.name).shape[:2] == (1, 14) for f in fields(SpeakerBatch))
    with pytest.raises(ValueError, match="no frames"):
        onto_grid([])


STAMPED = """std_msgs/Header header
uint32 sample_rate
uint8 channels
int16[] samples
"""


def write_bag(folder: Path, clip: Path, *, spoilt: bool = False, jump_s: int = 0) -> None:
    """The clip as a robot's graph would record it: JPEG pictures and 20 ms chunks, stamped from 100 s on."""
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    types.register(get_types_from_msg(STAMPED, "reactdiff_ros/msg/AudioChunk"))
    t = types.types
    with Writer(folder, version=9) as bag:
        picture = bag.add_connection("camera", "sensor_msgs/msg/CompressedImage", typestore=types)
        audio = bag.add_connection("audio", "reactdiff_ros/msg/AudioChunk", typestore=types)
        for item in MediaClip(clip).pictures_and_sound():
            recorded = 100 * NS + item.offset_ns
            stamp = recorded + jump_s * NS * (item.offset_ns > 2 * NS)
            time = t["builtin_interfaces/msg/Time"](sec=stamp // NS, nanosec=stamp % NS)
            header = t["std_msgs/msg/Header"](stamp=time, frame_id="camera")
            if isinstance(item, ClipPicture):
                jpeg = np.frombuffer(b"spoilt" if spoilt else encode_jpeg(item.bgr, 95), np.uint8)
                message = t[picture.msgtype](header=header, format="jpeg", data=jpeg)
                bag.write(picture, recorded, types.serialize_cdr(message, picture.msgtype))
            else:
                message = t[audio.msgtype](
                    header=header, sample_rate=item.rate_hz, channels=2, samples=item.samples.reshape(-1)
                )
                bag.write(audio, recorded, types.serialize_cdr(message, audio.msgtype))


def test_a_bag_is_perceived_without_ros(clips: Clips, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rosbags")
    path = clips(MAY)
    write_bag(tmp_path / "talk", path)
    assert main(["extract", str(tmp_path / "talk"), str(path), "--output", str(tmp_path / "out")]) == 0
    bag, film = load(tmp_path / "out" / "talk.npz"), load(tmp_path / "out" / f"{path.stem}.npz")
    assert bag.frames == film.frames
    np.testing.assert_array_equal(bag.stamps_ns - 100 * NS, film.stamps_ns)
    np.testing.assert_array_equal(bag.speaker.mfcc, film.speaker.mfcc)
    smile = [INDEX["mouthSmileLeft"], INDEX["jawOpen"]]
    late = slice(50, None)  # both neutrals are learnt
    difference = bag.speaker.coefficients[0, late, smile] - film.speaker.coefficients[0, late, smile]
    assert np.abs(difference).mean() < 0.03  # JPEG


def test_the_sound_of_a_public_set_goes_through_the_real_extractor(tmp_path: Path) -> None:
    root = react(tmp_path, frames=100, splits=("train",))
    first = next(public.recordings("react", root, voice_of=voice_columns))
    assert first.speaker.microphone[0].mean() > 0.95
    assert not first.speaker.microphone[0, 0]  # nothing was heard before the first frame
    tone = first.speaker.pitch_hz[0][first.speaker.pitch_hz[0] > 0]
    assert np.median(tone) == pytest.approx(180, rel=0.02)  # generated_sets.write_sound

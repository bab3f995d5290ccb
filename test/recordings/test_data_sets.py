"""Recordings of one's own, calls, timings of turns and public sets; errors name the file and the field."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import generated_sets
import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, attributes, dualtalk, face, mars, react
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.coefficients import EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX, LOWER, ROTATION, TRANSLATION, UPPER
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.dyads import folds, others_of, read_dyads, read_pairs, resampled
from reactdiff_ros.recordings.datasets.public import CHANNELS, expression_names, faceverse_coefficients, neighbours
from reactdiff_ros.recordings.datasets.recording import DatasetError, Recording, speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, extracted, load, recordings, save
from reactdiff_ros.recordings.datasets.turns import Turns, read_turns
from reactdiff_ros.recordings.extraction import Track, learn_reference, seen_face

FRAMES = 30


def test_a_listener_is_seen_between_gaps_and_what_was_seen_often_is_named() -> None:
    """Ten frames: nothing at either end, a gap within, and a coefficient that is seen in four of them only."""
    values, observed = np.zeros((10, 58), np.float32), np.zeros((10, 58), bool)
    values[:, 0] = [0, 1, 2, 0, 0, 5, 6, 7, 8, 0]
    observed[:, 0] = values[:, 0] > 0
    values[1:5, 1] = observed[1:5, 1] = 1
    seen, often = Recording("s", "p", "1", "A", blank(1, 10), values, observed).listener_seen()
    assert seen[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert often.nonzero()[0].tolist() == [0]
    assert values[3, 0] == 0, "the recording stays as it is"


@pytest.fixture
def example() -> Extracted:
    values = np.random.default_rng(1).uniform(0, 1, (FRAMES, 58)).astype(np.float32)
    speaker = speaker_of(FRAMES, coefficients=values, observed=np.arange(58) < 50)
    stamps_ns, seen = np.arange(FRAMES, dtype=np.int64) * 40_000_000, np.ones((FRAMES, 58), bool)
    return Extracted("anna-ben", "2", "ben", speaker, stamps_ns, values, seen, {"files": ["a.mp4"]})


def test_what_is_written_is_read_again(tmp_path: Path, example: Extracted) -> None:
    save(tmp_path / "below" / "a.npz", example)
    save(tmp_path / "b.npz", replace(example, listener=None, observed=None))
    back = load(tmp_path / "below" / "a.npz")
    for name in SpeakerBatch.__slots__:
        np.testing.assert_array_equal(getattr(back.speaker, name), getattr(example.speaker, name))
    np.testing.assert_array_equal(back.stamps_ns, example.stamps_ns)
    assert back.about["files"] == ["a.mp4"]
    assert len(list(extracted(tmp_path))) == 2
    (one,) = recordings(tmp_path)
    assert (one.pair, one.session, one.role, one.frames) == ("anna-ben", "2", "ben", FRAMES)


ABOUT = {"format": "reactdiff-recording", "version": 1, "rate_hz": 25}


@pytest.mark.parametrize(("changes", "words"), [
    ({"speaker_mfcc": None}, "speaker_mfcc is missing"),
    ({"speaker_mfcc": np.zeros((FRAMES, 13), np.float32)}, r"speaker_mfcc is \(30, 13\).*instead of \(30, 26\)"),
    ({"speaker_pitch_hz": np.full(FRAMES, np.nan)}, "speaker_pitch_hz holds values that are not finite"),
    ({"observed": None}, "observed is missing"),
    ({"about": np.array("{}")}, "not one that 'reactdiff extract' wrote"),
    ({"about": np.array(json.dumps(ABOUT | {"rate_hz": 30}))}, "30 Hz instead of 1 at 25"),
])  # fmt: skip
def test_a_bad_field_is_named(tmp_path: Path, example: Extracted, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.npz"
    save(path, example)
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(DatasetError, match=words) as caught:
        list(recordings(tmp_path))
    assert str(path) in str(caught.value)


def write(folder: Path, pair: str, rows: int = 60) -> None:
    for feature, row in {"au12_r": "1.75 0", "au06_r": "0 0.875", "gaze": "3 1"}.items():
        (folder / f"{pair}_{feature}.csv").write_text("\n".join(["A B", *[row] * rows]) + "\n")


def test_both_directions_with_the_documented_map(tmp_path: Path) -> None:
    write(tmp_path, "p1")
    b, a = read_dyads(tmp_path)
    assert [(r.pair, r.session, r.role, r.frames) for r in (b, a)] == [("p1", "first", role, 50) for role in "BA"]
    smile, cheek, down = INDEX["mouthSmileLeft"], INDEX["cheekSquintRight"], INDEX["eyeLookDownLeft"]
    # B listens to A, who smiles at half strength and looks at B; B looks away with a quarter of a cheek raise.
    np.testing.assert_allclose(b.speaker.coefficients[0, :, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(b.listener[:, cheek], 0.25, atol=1e-6)
    np.testing.assert_allclose(b.speaker.gaze[0, :, 2], 1.0)
    np.testing.assert_allclose(b.listener[:, down], 0.58)
    np.testing.assert_allclose(a.listener[:, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(a.listener[:, down], 0.0)


def test_resampling_keeps_the_mean_and_the_times() -> None:
    out = resampled(np.where(np.arange(300) < 150, 0.0, 1.0), 30.0)
    assert len(out) == 250
    assert np.flatnonzero(out > 0.5)[0] == 125
    noise = np.random.default_rng(0).random(300)
    np.testing.assert_allclose(resampled(noise, 30.0).mean(), noise.mean(), rtol=1e-5)


@pytest.mark.parametrize(("name", "content", "sentence"), [
    ("p1_gaze.csv", None, "lacks a file"), ("p1_gaze.csv", b"A B\n1 2\n1 2\n", "2 rows"),
    ("p1_gaze.csv", b"A B\n1 2\n1 9\n", "gaze of line 3 is outside"),
    ("p1_au12_r.csv", b"A B\n1 x\n", "line 2 is not two numbers"), ("p1_au06_r.csv", b"\xff\x00", "cannot be read"),
])  # fmt: skip
def test_a_wrong_layout_names_file_and_field(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    write(tmp_path, "p1")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ReactdiffError, match=sentence) as caught:
        read_dyads(tmp_path)
    assert name in str(caught.value)


def test_tables_of_two_people_that_are_there_twice_are_one_sentence(tmp_path: Path) -> None:
    table = "time_s,A_smile,B_smile\n" + "".join(f"{i / 25},0.1,0.2\n" for i in range(60))
    (tmp_path / "again").mkdir()
    for path in (tmp_path / "p1.csv", tmp_path / "again" / "p1.csv"):
        path.write_text(table)
    with pytest.raises(ReactdiffError, match=r"twice.*again"):
        read_pairs(tmp_path)
    path.unlink()
    assert len(read_pairs(tmp_path)) == 2


def test_folds_hold_every_pair_out_once_and_whole(tmp_path: Path) -> None:
    for pair in "abcde":
        write(tmp_path, pair)
        write(tmp_path, f"{pair}_240p")
    recordings = read_dyads(tmp_path)
    splits = folds(recordings, 4)
    assert all({r.pair for r in training}.isdisjoint(r.pair for r in held) for training, held in splits)
    assert sorted(r.name for _, held in splits for r in held) == sorted(r.name for r in recordings)
    with pytest.raises(ReactdiffError, match="5 pairs"):
        folds(recordings, 6)
    others = others_of(recordings[0], recordings)
    assert [(r.pair, r.role, r.session) for r in others] == [("a", recordings[0].role, "first")]


def test_the_public_calls(clips: Callable[[str], Path]) -> None:
    recordings = read_dyads(clips("dyads"))
    assert len(recordings) == 72
    assert len({r.pair for r in recordings}) == 12
    assert {r.frames for r in recordings} == {4500}
    smile = np.stack([r.listener[:, INDEX["mouthSmileLeft"]] for r in recordings])
    assert abs(smile.mean() * 3.5 - 0.98) < 0.03  # the calls' mean AU12
    assert 0.35 < np.mean([r.speaker.gaze[0, :, 2].mean() for r in recordings]) < 0.5


# ---- Timings of a dialogue

A = [(0.0, 10.0), (10.6, 20.0), (30.0, 40.0), (41.0, 50.0), (55.0, 62.0)]


def turns_of(path: Path, people: dict[str, list[tuple[float, float]]], end: str = "") -> Turns:
    rows = [f"{1000 * b},{1000 * e},{name}" for name, of in people.items() for b, e in of]
    path.write_text("\n".join(["Begin, end ,PARTICIPANT", *rows, end]), encoding="utf-8")
    return read_turns(path)


def test_who_says_little_while_the_other_has_the_floor_responds(tmp_path: Path) -> None:
    responses = [(5.0, 5.4), (10.1, 10.5), (40.2, 40.6)]  # over A's talk, and in A's pauses
    own = [(20.5, 20.9), (21.2, 29.0), (50.5, 50.9), (51.0, 54.0), (62.5, 62.9)]  # a turn that begins short; an answer
    turns = turns_of(tmp_path / "t.csv", {"B": responses + own, "A": A})
    a, b = turns.people
    assert (a.name, b.name, turns.seconds, len(a.responses)) == ("A", "B", 62.9, 0)
    for found, expected in ((b.responses, responses), (b.talk, own), (a.talk, A)):
        assert np.allclose(found, expected)
    assert a.talks(np.array([-1.0, 0.0, 9.99, 10.0, 10.6, 99.0])).tolist() == [False, True, True, False, True, False]


def test_rows_that_cannot_be_used_are_counted_and_a_table_that_is_no_dialogue_is_refused(tmp_path: Path) -> None:
    rows = {"A": [*A, (9.0, 10.2), (7.0, 6.0), (8.0, 8.0)], "B": [(21.0, 29.0)], "": [(1.0, 2.0)], "C": [(1.0, 3.0)]}
    turns = turns_of(tmp_path / "t.csv", rows, "NA,5,A\n\n70")
    assert turns.left_out == {"ends before it begins": 2, "empty": 4, "of a third participant": 1}
    assert turns.people[0].talk[0].tolist() == [0.0, 10.2]
    for bad, why in (("0,x,A", "line 2 has 'x'"), ("0,90000,A\n9,8,B", "two participants are needed")):
        with pytest.raises(DatasetError, match=why):
            turns_of(tmp_path / "t.csv", {}, bad)


# ---- What is taken from a clip of one person


def test_too_little_of_a_face_is_one_sentence() -> None:
    def track(frames: int, seen: int) -> Track:
        batch = blank(1, frames)
        batch.mesh[0, :seen] = True
        batch.confidence[0] = 0.9
        return Track(0, batch, np.arange(frames, dtype=np.int64), np.zeros(frames, dtype=np.int64))

    for frames, seen in ((100, 100), (2000, 800)):
        with pytest.raises(MediaError, match=r"a face was .*anna\.mp4"):
            seen_face(track(frames, seen), "anna.mp4")
    assert seen_face(track(1500, 1500), "anna.mp4")[1].all()


@pytest.mark.clips
def test_a_clip_of_a_person_gives_a_reference(clips) -> None:
    reference = learn_reference(MediaClip(clips("liveportrait_d9_webcam_silent_20s.mp4")))
    assert reference.seconds > 5
    assert reference.as_dict()["head_motion"] is not None


# ---- Public sets


def test_react_is_read_in_the_order_of_the_neighbour_matrix_and_mapped_by_name(tmp_path: Path) -> None:
    heard = []

    def voice_of(samples: NDArray[np.int16], rate_hz: int, frames: int) -> dict[str, NDArray[Any]]:
        heard.append((*samples.shape, rate_hz))
        return {"pitch_hz": np.full(frames, 180, np.float32)}

    root = react(tmp_path, frames=100, splits=("train",))
    read = list(public.recordings("react", root, "train", names=FACEVERSE_ORDER, voice_of=voice_of))
    assert [r.names["speaker"] for r in read] == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    assert (read[3].pair, read[3].session, len({r.person for r in read})) == ("UDIVA/005013", "talk-1", 6)
    first = read[0]
    assert (first.pair, first.session, first.role) == ("NoXI/010_2016-03-25_Paris", "1", "Novice_video")
    np.testing.assert_array_equal(first.attributes, attributes(100, 1))
    raw, values = face(100, 1)[:, 0], first.listener
    smile = raw[:, FACEVERSE_ORDER.index("mouthSmileLeft")]
    assert np.corrcoef(smile, values[:, INDEX["mouthSmileLeft"]])[0, 1] > 0.99
    assert np.corrcoef(raw[:, 52], values[:, HEAD_PITCH])[0, 1] > 0.999, "the head keeps its axes"
    assert abs(np.median(values[:, ROTATION], axis=0)).max() < 1e-4
    assert first.observed[0].nonzero()[0].tolist() == [*range(55)]
    assert not values[:, TRANSLATION].any()
    assert ((values >= LOWER) & (values <= UPPER)).all()
    assert heard[0] == (4 * 8000, 1, 8000)
    assert (first.speaker.pitch_hz == 180).all()


def test_neighbours_from_the_splits_own_file_or_cut_from_the_whole_matrix(tmp_path: Path) -> None:
    root = react(tmp_path, frames=3, splits=("val",), sound=False)
    whole, rows = generated_sets.react_all_neighbours(root), [4, 3, 0, 2]
    rows += [r + 5 for r in rows]
    np.testing.assert_array_equal(neighbours(root, "val"), whole[np.ix_(rows, rows)] == 1)
    np.testing.assert_array_equal(generated_sets.react_neighbours(root) == 1, neighbours(root, "val"))


def test_expression_names_come_from_the_model_or_a_text_and_no_code_of_a_model_file_runs(tmp_path: Path) -> None:
    assert expression_names(generated_sets.faceverse_model(tmp_path / "model.npy")) == FACEVERSE_ORDER
    text = tmp_path / "names.txt"
    text.write_text("\n".join(n.replace("Left", "_L").replace("Right", "_R") for n in FACEVERSE_ORDER))
    read = [faceverse_coefficients(face(50, 3)[:, 0], n)[0] for n in (expression_names(text), FACEVERSE_ORDER)]
    np.testing.assert_array_equal(*read)
    hostile = generated_sets.hostile_model(tmp_path / "hostile.npy")
    with pytest.raises(DatasetError, match="cannot be read"):
        expression_names(hostile)
    assert not hostile.with_suffix(".run").exists()
    text.write_text("mouthSmileLeft smirk")
    with pytest.raises(DatasetError, match="smirk"):
        expression_names(text)


def test_mars_sessions_of_any_length_come_out_on_the_25_hz_grid_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    sessions = mars(tmp_path)
    read = list(public.recordings("mars", sessions, names=FACEVERSE_ORDER))
    assert [r.names["session"] for r in read[:4]] == ["session0", "session0", "session2", "session10"]
    assert [r.role for r in read] == ["listener"] * 4 + ["speaker"] * 4
    assert [r.frames for r in read[:4]] == [51, 76, 101, 76]
    assert [r.pair for r in read[:2]] == ["2024-06-21", "2024-07-17"]
    first, raw, times = read[0], face(61, 1)[:, 0, 53], np.arange(51) / 25
    between = np.interp(times, np.arange(61) / 30, raw - np.median(raw))
    np.testing.assert_allclose(first.listener[:, HEAD_YAW], between, atol=1e-4)
    newest = attributes(61, 0)[np.floor(times * 30 + 1e-6).astype(int), 15]
    np.testing.assert_allclose(first.speaker.affect[0, :, 7], newest, atol=1e-6)
    below = sessions / "train" / "facial-attributes" / "listener" / "session2"
    (below / "Camera-2024-06-21-105000-104950.npy").unlink()
    with pytest.raises(DatasetError, match=r"1 files of the speaker have none of the listener.*session2"):
        list(public.recordings("mars", sessions))
    sessions = mars(tmp_path, rate_hz=25.0)
    with pytest.raises(DatasetError, match=r"25\.0 frames a second instead of 30"):
        list(public.recordings("mars", sessions, voice_of=lambda samples, rate, frames: {}))


def test_dualtalk_is_read_in_both_directions_and_unsolved_channels_are_unobserved(tmp_path: Path) -> None:
    films = dualtalk(tmp_path)
    read = list(public.recordings("dualtalk", films))
    talks = (("UbjUDM1MiGE", "72_000", 80), ("4V6riHOB4q4", "26", 100))
    expected = [(*talk, role) for talk in talks for role in ("speaker2", "speaker1")]
    assert [(r.pair, r.session, r.frames, r.role) for r in read] == expected
    first = read[0]
    np.testing.assert_array_equal(first.listener, read[1].speaker.coefficients[0])
    assert (first.speaker.mesh.all(), first.speaker.affect_observed.any()) == (True, False)
    raw = np.load(films / "ARKit_npy" / "train" / "UbjUDM1MiGE_sub_video_72_000_speaker2.npy")
    for name in ("mouthSmileRight", "headYaw", "headPitch"):
        values = raw[:, CHANNELS.index(name)]
        centre = np.median(values) if name.startswith("head") else 0.0
        np.testing.assert_allclose(first.listener[:, INDEX[name]], values - centre, atol=1e-5)
    unobserved = {*EYE_LOOK, INDEX["tongueOut"], *range(*TRANSLATION.indices(58))}
    assert set(np.flatnonzero(~first.observed[0])) == unobserved


def nan_in(values: NDArray[Any]) -> NDArray[Any]:
    values[40, 0, 7] = np.nan
    return values


@pytest.mark.parametrize(("change", "words"), [
    (lambda v: v[:, :, :57], ["3DMM coefficients", "(100, 1, 57)", "(frames, 58)"]),
    (lambda v: v[:70], ["70 and 100 frames", "Emotion"]),
    (nan_in, ["not finite", "frame 40, column 7"]),
    ({"speaker2_arkit": "../../other.npy"}, ["outside of its dataset"]),
    ({"speaker2_arkit": "train/none.npy"}, ["a file is missing: the ARKit channels"]),
])  # fmt: skip
def test_a_bad_array_or_line_is_named_with_its_file_and_field(tmp_path: Path, change: Any, words: list[str]) -> None:
    if callable(change):
        kind, root = "react", react(tmp_path, frames=100, splits=("train",))
        path = root / "train" / "3D_FV_files" / f"{REACT_CLIPS[0][1]}.npy"
        np.save(path, change(np.load(path)))
        words = [*words, str(path)]
    else:
        kind, root = "dualtalk", dualtalk(tmp_path)
        path = root / "metadata" / "train.jsonl"
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]))
    with pytest.raises(DatasetError) as caught:
        list(public.recordings(kind, root, "train"))
    assert all(word in str(caught.value) for word in words), str(caught.value)

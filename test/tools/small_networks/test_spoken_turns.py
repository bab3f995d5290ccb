"""Recordings with marked turns in three layouts, and what is wrong with others' files."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.recordings.datasets.recording import DatasetError
from tools.small_networks.turns.spoken_turns import Silence, read_spoken_turns, silences_of


def write_wav(path, seconds=4.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        noise = np.random.default_rng(0).integers(-300, 300, round(16000 * seconds))
        file.writeframes(noise.astype("<i2").tobytes())


def test_eot_benchs_last_silence_ends_the_turn(tmp_path):
    write_wav(tmp_path / "a.wav")
    row = {"id": "a", "language": "en", "audio": "a.wav"}
    spans = [{"start": 1.0, "end": 1.4}, {"start": 2.0, "end": 2.05}, {"start": 3.0, "end": 4.0}]
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row | {"silence_spans": spans}) + "\n\n")
    (turns,) = read_spoken_turns(tmp_path)
    assert turns.silences == (Silence(1.0, 1.4, False), Silence(3.0, 4.0, True))


@pytest.mark.parametrize(
    "line",
    [
        "{", '{"id": 1}', '{"id": 1, "audio": "b.wav", "silence_spans": []}',
        '{"id": 1, "audio": "a.wav", "silence_spans": [{"start": 2, "end": 1}]}',
        '{"id": 1, "audio": "../../etc/hostname", "silence_spans": []}',
        '{"id": 1, "audio": "a.wav", "silence_spans": [{"start": NaN, "end": 1}]}',
    ],
)  # fmt: skip
def test_a_bad_row_is_one_sentence_with_its_line(tmp_path, line):
    write_wav(tmp_path / "a.wav")
    (tmp_path / "manifest.jsonl").write_text(line)
    with pytest.raises(DatasetError, match="line 1"):
        read_spoken_turns(tmp_path)


def srt(cues):
    def time(s):
        return f"00:{int(s // 60):02d}:{int(s % 60):02d},{round(s % 1 * 1000):03d}"

    return "\n".join(f"{i}\n{time(b)} --> {time(e)}\n[{label}] words\n" for i, (b, e, label) in enumerate(cues, 1))


def test_turnbenchs_turns_are_those_of_two_of_three_annotators(tmp_path):
    one = [(0.5, 2.0, "Normal Turn"), (2.6, 4.0, "Normal Turn"), (9.0, 11.0, "Normal Turn")]
    two = [(5.0, 8.0, "Normal Turn"), (3.0, 3.3, "Continuer Backchannel")]
    for speaker, cues in ((1, one), (2, two)):
        write_wav(tmp_path / "c1" / f"speaker_{speaker}_audio.wav", 12.0)
        for who, shift in (("a", 0.0), ("b", 0.1), ("c", 1.0)):
            moved = [(b + shift, e + shift, label) for b, e, label in cues]
            (tmp_path / "c1" / f"speaker_{speaker}_annotation_{who}.srt").write_text(srt(moved))
    first, second = read_spoken_turns(tmp_path)
    assert [(round(s.begin_s, 2), round(s.end_s, 2), s.ends) for s in first.silences] == [
        (2.05, 2.65, False), (4.05, 9.05, True),
    ]  # fmt: skip
    assert [s.ends for s in second.silences] == [True]
    assert first.other[0] == pytest.approx((5.05, 8.05))


def test_clips_with_an_rttm_of_two_speakers_and_folders_without_what_it_takes(tmp_path, clips):
    path = clips("pyannote_two_speakers_30s.wav")
    with pytest.raises(DatasetError, match=r"manifest\.jsonl"):
        read_spoken_turns(tmp_path)
    (tmp_path / path.with_suffix(".rttm").name).symlink_to(path.with_suffix(".rttm"))
    with pytest.raises(DatasetError, match="sound"):
        read_spoken_turns(tmp_path)
    (tmp_path / path.name).symlink_to(path)
    found = read_spoken_turns(tmp_path)
    assert len(found) == 2
    assert all(turns.only and turns.other for turns in found)
    assert any(s.ends for turns in found for s in turns.silences)


SPANS = st.lists(
    st.tuples(st.floats(0.0, 50.0), st.floats(0.01, 5.0)).map(lambda s: (s[0], s[0] + s[1])), max_size=12
).map(sorted)


@given(SPANS, SPANS)
def test_silences_of_any_talk_are_silent(own, other):
    for silence in silences_of(own, other):
        assert silence.end_s > silence.begin_s
        assert not any(begin < silence.end_s - 1e-9 and end > silence.begin_s + 1e-9 for begin, end in own)

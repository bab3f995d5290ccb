"""What only a checkout has: commands, the file of faults' figures, the demo speaker, a clip as a camera."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from reactdiff_ros import resources
from reactdiff_ros.cli.bench import bench
from reactdiff_ros.cli.docs import docs
from reactdiff_ros.cli.evaluate import evaluate
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulate import demo
from reactdiff_ros.cli.training import dev
from reactdiff_ros.errors import MediaError
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound
from tools import visitor
from tools.demo import script
from tools.faults.catalogue import kept
from tools.visitor import RATE_HZ, SIZE, SOUND_HZ, write_devices


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"faults": [{}], "hardware": {}}', '{"faults": 3, "hardware": {}}', "[" * 9999]
)
def test_other_files_are_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="no figures of faults"):
        kept(path)
    assert kept(tmp_path / "missing.json") == []


@pytest.mark.parametrize(
    ("words", "group"),
    [(("bench",), bench), (("dev",), dev), (("dev", "docs"), docs), (("dev", "demo"), demo), (("evaluate",), evaluate)],
)
def test_without_a_checkout_its_commands_say_where_to_run_them(words, group, tmp_path, capsys, monkeypatch):
    assert {*group.checkout} <= {*group.commands}
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "site-packages" / "reactdiff_ros" / "resources.py"))
    monkeypatch.setattr(group, "commands", {n: c for n, c in group.commands.items() if n not in group.checkout})
    for name in group.checkout:
        assert main([*words, name]) == 3
        assert "run this command from a checkout of the repository" in capsys.readouterr().err


def test_speech_is_heard_where_the_script_has_it() -> None:
    with av.open(str(demo_clip_path())) as clip:
        stream = clip.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in clip.decode(stream)]
        rate, samples = stream.rate, np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)
    extractor = VoiceExtractor()
    chunk = rate // 25
    speaking = np.zeros(round(script.SECONDS * 25), dtype=bool)
    for i in range(len(speaking)):
        extractor.push(Sound(i * 40_000_000, rate, samples[i * chunk : (i + 1) * chunk, None]))
        heard = extractor.latest((i + 1) * 40_000_000)
        speaking[i] = heard is not None and heard[0].speaking
    for sentence in script.SENTENCES:
        first = round(sentence.start_s * 25)
        # Laughter is no speech to the network, and need not be.
        if "Ha" not in sentence.text.split():
            assert speaking[first + 8 : first + 25].mean() > 0.7, sentence.text
    quiet = ((0.2, 2.6), (24.5, 26.0), (32.5, 34.4), (47.5, 54.0), (57.5, 59.5))
    for begin, end in quiet:
        assert speaking[int(begin * 25) : int(end * 25)].mean() < 0.15, (begin, end)
    assert 0.3 < speaking.mean() < 0.65


def test_a_clip_becomes_pictures_at_the_cameras_rate_and_sound_of_the_same_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor, "LONGEST_S", 2.0)
    write_devices(demo_clip_path(), tmp_path / "c.y4m", tmp_path / "m.wav")
    head, _, rest = (tmp_path / "c.y4m").read_bytes().partition(b"\n")
    assert head.startswith(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{RATE_HZ}:1".encode())
    size = len(b"FRAME\n") + SIZE[0] * SIZE[1] * 3 // 2
    assert len(rest) == 2 * RATE_HZ * size
    pictures = np.frombuffer(rest, np.uint8).reshape(-1, size)
    assert bytes(pictures[7, :6]) == b"FRAME\n"
    changes = (pictures[1:] != pictures[:-1]).any(1)
    assert 40 <= changes.sum() <= 50  # 25 a second become 30: every sixth stands still
    with wave.open(str(tmp_path / "m.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (SOUND_HZ, 1, 2 * SOUND_HZ)
        assert np.abs(np.frombuffer(sound.readframes(2 * SOUND_HZ), np.int16)).max() > 20  # it breathes


def test_what_is_no_clip_has_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    for name in ("no.mp4", "missing.mp4"):
        with pytest.raises(MediaError, match="cannot be shown to a camera"):
            write_devices(tmp_path / name, tmp_path / "c.y4m", tmp_path / "m.wav")

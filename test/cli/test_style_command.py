"""`reactdiff style` and `reactdiff evaluate controls` from the outside: exit codes, one JSON object, sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation import extraction as reference
from reactdiff_ros.evaluation.extraction import Reference
from reactdiff_ros.settings import RANGES
from reactdiff_ros.styles import StyleBook


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for a clip, of which a reference is known already."""
    from reactdiff_ros.resources import resource_path

    values = (0.5, -0.25, None, 0.1, 1.0, 0.2, 0.3, -1.0)
    monkeypatch.setattr(reference, "learn_reference", lambda path, progress: Reference(path.name, 42.0, values))
    return resource_path("demo/speaker.mp4")


def test_learn_saves_and_tells(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "styles.yaml"
    assert main(["style", "learn", str(clip), "--name", "anna", "--file", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["reference"]["smile_share"] == 0.5
    assert told["reference"]["smile_size"] is None
    assert "the clip does not show: smile_size" in err
    assert StyleBook(path)["anna"].reference[1] == -0.25
    before = path.read_text()
    assert main(["style", "learn", str(clip), "--name", "anna", "--file", str(path)]) == 1
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == before
    assert main(["style", "learn", str(clip), "--name", "anna", "--file", str(path), "--force"]) == 0
    assert main(["style", "learn", str(clip), "--name", "warm", "--file", str(path)]) == 1, "a shipped name"


def test_the_users_folder_is_the_default(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["style", "learn", str(clip), "--name", "bert"]) == 0
    assert (tmp_path / "reactdiff_ros" / "styles.yaml").is_file()
    capsys.readouterr()
    assert main(["style", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bert"]["reference"][0] == 0.5
    assert told["reserved"]["smiling"] == -0.8
    assert set(RANGES) < set(told["natural"])
    assert main(["style", "list"]) == 0
    assert "bert: default settings, with a reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["style", "learn", "nowhere.mp4", "--name", "x", "--file", "{}/s.yaml"], 1, "no such media file"),
        (["style", "learn", "nowhere.mp4"], 2, "--name"),
        (["style", "list", "--file", "{}/missing.yaml"], 1, "missing.yaml"),
        (["evaluate", "controls", "--model", "{}/none", "--items", "4"], 1, "weights are missing"),
        (["evaluate", "controls", "--listener", "mime"], 2, "mime"),
        (["listen", "--style", "grumpy"], 2, "unknown style (grumpy): use one of calm"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([a.format(tmp_path) for a in arguments]) == code
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert out == ""

"""Files that a user keeps: those of the present format are read for good, those of a newer one are refused unchanged.

`kept_files/format1` is what the first version wrote, or told people to write. It is never changed: a format 2 gets a
folder of its own, and format 1 must still be read, or be migrated.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reactdiff_ros.actuation.calibration import Calibration, calibration_path, load_calibration, save_calibration
from reactdiff_ros.actuation.kept_state import state_folder
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.configuration import lab_settings, read_settings
from reactdiff_ros.settings import format_problem
from reactdiff_ros.styles import load_styles, save_style, user_styles_path

KEPT = Path(__file__).parent / "kept_files" / "format1"
READERS: dict[str, Callable[[Path], object]] = {
    "config.yaml": read_settings,
    "robots/anna.yaml": read_settings,
    "styles.yaml": load_styles,
    "calibration/ohbot.json": load_calibration,
    "profile.yaml": load_profile,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration of the first version, in force."""
    shutil.copytree(KEPT, tmp_path / "reactdiff_ros")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("REACTDIFF_CONFIG")
    return tmp_path / "reactdiff_ros"


def newer(path: Path) -> str:
    """The text of a kept file as a version of the future would write it."""
    text = path.read_text()
    if path.suffix == ".json":
        return re.sub(r"^\{", '{\n    "format": 2,\n    "units": "radians",', text)
    return "format: 2\nunits: radians\n" + text.removeprefix("format: 1\n")


def test_no_kept_file_is_forgotten() -> None:
    assert {str(p.relative_to(KEPT)) for p in KEPT.rglob("*") if p.is_file()} == READERS.keys()


def test_files_of_the_first_version_mean_what_they_meant(home: Path) -> None:
    lab = lab_settings({})
    assert {n: s.value for n, s in lab.arguments.items()} == {
        "robot": "ohbot",
        "camera": "/dev/video2",
        "lan": "true",
        "namespace": "anna",
    }
    assert lab.parameters["expression_node"]["intensity"].value == 0.8
    assert lab.parameters["avatar_node"]["port"].value == 8801
    style = load_styles(user_styles_path())["gentle"]
    assert (style.smiling, style.nodding, style.delay_s) == (-0.4, 0.6, 0.2)
    assert style.reference == (0.1, None, 0.4, -0.2, 0.0, 1.2, None, 0.3)
    assert style.resting == (("mouthSmileLeft", 0.05), ("mouthSmileRight", 0.05))
    assert load_calibration(calibration_path("ohbot")) == {"head_turn": Calibration(0, 1, -12, 100, 900)}
    assert load_profile(home / "profile.yaml").joints["jaw"].limits.speed == 8


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_a_newer_version_is_refused_as_such_and_stays(name: str, home: Path) -> None:
    path = home / name
    path.write_text(newer(path))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"(?s)this version of reactdiff_ros knows 1.*newer version again") as caught:
        READERS[name](path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_nothing_is_written_into_a_file_of_a_newer_version(home: Path) -> None:
    path = user_styles_path()
    path.write_text(newer(path))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="newer version"):
        save_style(path, "mine", {"smiling": 0.1}, replace=True)
    assert path.read_bytes() == before


def test_what_is_saved_anew_keeps_the_format_and_the_rest(home: Path) -> None:
    path = user_styles_path()
    save_style(path, "mine", {"smiling": 0.1})
    save_style(path, "mine", {"smiling": 0.2}, replace=True)
    assert "format: 1" in path.read_text()
    assert {name: style.smiling for name, style in load_styles(path).items()} == {"gentle": -0.4, "mine": 0.2}
    file = calibration_path("ohbot")
    old = load_calibration(file)
    backup = save_calibration(file, {**old, "head_nod": Calibration(1, 0, 0, 1, 2)})
    assert backup is not None
    assert load_calibration(backup) == old
    assert set(load_calibration(file)) == {"head_turn", "head_nod"}


def test_doctor_says_which_file_is_of_a_newer_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config.yaml", "styles.yaml", "calibration/ohbot.json"):
        (home / name).write_text(newer(home / name))
    from reactdiff_ros.launching import doctor

    checks = (doctor.check_settings, doctor.check_styles, doctor.check_calibrations)
    assert ["newer version" in next(iter(check())).todo for check in checks] == [True, True, True]
    assert main(["config", "show"]) == 1
    assert "newer version" in capsys.readouterr().err


def test_what_a_user_keeps_lies_outside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/anna")
    kept = [calibration_path("ohbot"), user_styles_path(), state_folder("")]
    assert all(path.is_relative_to("/home/anna") for path in kept)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "1", None, [1]])
def test_a_format_is_a_number(value: object) -> None:
    assert format_problem(value, 1) is not None
    assert format_problem(1, 1) is None
    assert format_problem(1, 2) is None

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER, STYLE_COUNT
from reactdiff_ros.settings import check_settings, setting, written_path
from reactdiff_ros.styles import (
    EXPRESSION_CONTROLS,
    LISTENER_CONTROLS,
    RANGES,
    REFERENCE_COUNT,
    Style,
    StyleBook,
    apply_control,
    load_styles,
    merged,
    save_style,
    style_book,
    user_styles_path,
)
from reactdiff_ros.types import ListenerControl


def test_shipped_styles_load_and_natural_is_the_default() -> None:
    styles = load_styles()
    assert {"natural", "responsive", "neutral", "warm", "sceptical", "calm", "extravert", "reserved"} <= set(styles)
    assert styles["natural"] == Style()
    assert replace(styles["neutral"], name="natural") == Style(), "another name of it"
    assert styles["warm"].attitude > 0 > styles["sceptical"].attitude
    assert styles["responsive"].responsiveness == 1.0


def test_numbers_of_a_control_go_before_its_style_and_are_clipped() -> None:
    styles = load_styles()
    style = apply_control(Style(), ListenerControl(style="warm", intensity=9.0, head=0.5), styles)
    assert style.intensity == 2.0
    assert style.head == 0.5
    assert style.attitude == styles["warm"].attitude
    assert apply_control(style, ListenerControl(), styles) == style, "NaN changes nothing"


def test_one_table_has_the_range_of_every_control() -> None:
    names = [f.name for f in fields(ListenerControl) if f.name != "style"]
    assert names == list(RANGES) == [*LISTENER_CONTROLS, *EXPRESSION_CONTROLS]
    for name, (low, high) in RANGES.items():
        assert apply_control(Style(), ListenerControl(**{name: -99.0}), {}).settings()[name] == low
        assert apply_control(Style(), ListenerControl(**{name: 99.0}), {}).settings()[name] == high
    for condition, low, high in zip(CONTROL_NAMES, CONTROL_LOWER, CONTROL_UPPER, strict=True):
        assert RANGES["delay_s" if condition == "delay" else condition] == (low, high)
    assert REFERENCE_COUNT == STYLE_COUNT


def test_a_style_that_is_saved_while_it_runs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "styles.yaml"
    book = StyleBook(path)
    assert "anna" not in book
    reference = ", ".join(["0.5", "null", *["-1"] * 6])
    path.write_text(f"anna: {{reference: [{reference}], nodding: 0.5}}\nwarm: {{attitude: 0.1}}\n")
    style = apply_control(Style(), ListenerControl(style="anna"), book)
    assert style.reference == (0.5, None, *[-1.0] * 6)
    assert style.nodding == 0.5
    assert book["warm"].attitude == 0.1, "the user's own goes first"
    save_style(path, "warm", {"attitude": 0.2}, replace=True)
    assert book["warm"].attitude == 0.2, "learnt anew, it acts as it is now"
    path.write_text("{")
    with pytest.raises(ConfigError, match=str(path)):
        book["bert"]
    assert book["anna"] == style


def test_a_named_file_of_styles_must_be_there_the_default_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert set(style_book("")) == set(load_styles())
    user_styles_path().parent.mkdir()
    user_styles_path().write_text("anna: {smiling: 0.2}")
    assert style_book("")["anna"].smiling == 0.2
    with pytest.raises(ConfigError, match=r"nowhere.yaml"):
        style_book(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "warm: {attitude: 3}",
        "warm: {smiles: 1}",
        "warm: {attitude: very}",
        "warm: {attitude: true}",
        "warm: {resting: {noSuchMuscle: 0.1}}",
        "warm: {resting: {mouthSmileLeft: 0.9}}",
        "warm: {reference: [1, 2, 3]}",
        "warm: {reference: 1}",
        "warm: {reference: [1, 2, 3, 4, 5, 6, 7, 8]}",
        "warm: {reference: [.nan, 0, 0, 0, 0, 0, 0, 0]}",
        "- a list",
        "warm: 3",
        "{",
    ],
)
def test_bad_styles_are_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "styles.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_styles(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_setting_out_of_range_is_named_with_its_range() -> None:
    @dataclass(frozen=True)
    class Config:
        lag_s: float = setting(0.5, "A lag.", unit="s", low=0.0, high=2.0)

        def __post_init__(self) -> None:
            check_settings(self, "some_node")

    assert Config(0.1).lag_s == 0.1
    for bad in (-1.0, 3.0, float("nan"), float("inf"), "fast"):
        with pytest.raises(ConfigError, match=r"lag_s.*some_node.*0 to 2 s"):
            Config(bad)  # type: ignore[arg-type]


def test_a_path_as_somebody_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert written_path("~/robot.yaml") == Path("/home/anna/robot.yaml")
    assert written_path("robot.yaml") == Path("robot.yaml")
    with pytest.raises(ConfigError, match=r"home folder of an unknown user \(~nobody-here/robot.yaml\)"):
        written_path("~nobody-here/robot.yaml")


def test_two_controls_in_one_do_what_they_do_one_after_the_other() -> None:
    styles = load_styles()
    rng = np.random.default_rng(3)

    def random_control() -> ListenerControl:
        chosen = {n: float(rng.uniform(low, high)) for n, (low, high) in RANGES.items() if rng.random() < 0.4}
        return ListenerControl(style=str(rng.choice(["", "", "warm", "calm"])), **chosen)

    for _ in range(200):
        start = replace(Style(), **{n: float(rng.uniform(low, high)) for n, (low, high) in RANGES.items()})
        controls = [random_control() for _ in range(4)]
        style, together = start, ListenerControl()
        for control in controls:
            style, together = apply_control(style, control, styles), merged(together, control)
        assert apply_control(start, together, styles) == style

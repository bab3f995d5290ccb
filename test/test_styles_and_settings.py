from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.styles import Style, apply_control, load_styles
from reactdiff_ros.types import ListenerControl


def test_shipped_styles_load_and_neutral_is_neutral() -> None:
    styles = load_styles()
    assert {"neutral", "warm", "sceptical", "calm"} <= set(styles)
    assert styles["neutral"] == Style()
    assert styles["warm"].attitude > 0 > styles["sceptical"].attitude


def test_numbers_of_a_control_go_before_its_style_and_are_clipped() -> None:
    styles = load_styles()
    style = apply_control(Style(), ListenerControl(style="warm", intensity=9.0, head=0.5), styles)
    assert style.intensity == 2.0
    assert style.head == 0.5
    assert style.attitude == styles["warm"].attitude
    assert apply_control(style, ListenerControl(), styles) == style, "NaN changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "warm: {attitude: 3}",
        "warm: {smiles: 1}",
        "warm: {attitude: very}",
        "warm: {attitude: true}",
        "warm: {resting: {noSuchMuscle: 0.1}}",
        "warm: {resting: {mouthSmileLeft: 0.9}}",
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

"""Styles of listening: named, saved, described in words, or asked of a language model; and settings with ranges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering import Answering
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.style_words import LONGEST, _lexicon, asked, described
from reactdiff_ros.styles import RANGES, Style, StyleBook, apply_control, load_styles, merged, save_style, style_book
from reactdiff_ros.types import ListenerControl


def test_numbers_of_a_control_go_before_its_style_and_are_clipped_to_one_table_of_ranges() -> None:
    styles = load_styles()
    assert styles["natural"] == replace(styles["neutral"], name="natural") == Style()
    style = apply_control(Style(), ListenerControl(style="warm", intensity=9.0, head=0.5), styles)
    assert (style.intensity, style.head, style.attitude) == (2.0, 0.5, styles["warm"].attitude)
    assert apply_control(style, ListenerControl(), styles) == style, "NaN changes nothing"
    assert [f.name for f in fields(ListenerControl) if f.name != "style"] == list(RANGES)
    for name, (low, high) in RANGES.items():
        assert apply_control(Style(), ListenerControl(**{name: -99.0}), {}).settings()[name] == low
        assert apply_control(Style(), ListenerControl(**{name: 99.0}), {}).settings()[name] == high
    for condition, low, high in zip(CONTROL_NAMES, CONTROL_LOWER, CONTROL_UPPER, strict=True):
        assert RANGES["delay_s" if condition == "delay" else condition] == (low, high)


def test_a_style_that_is_saved_while_it_runs_is_found(tmp_path: Path) -> None:
    path = tmp_path / "styles.yaml"
    with pytest.raises(ConfigError, match=r"styles.yaml"):
        style_book(str(path))
    book = StyleBook(path)
    assert "anna" not in book
    path.write_text("anna: {reference: [0.5, null, -1, -1, -1, -1, -1, -1], nodding: 0.5}\nwarm: {attitude: 0.1}\n")
    style = apply_control(Style(), ListenerControl(style="anna"), book)
    assert (style.reference, style.nodding) == ((0.5, None, *[-1.0] * 6), 0.5)
    assert book["warm"].attitude == 0.1, "the user's own goes first"
    save_style(path, "warm", {"attitude": 0.2}, replace=True)
    assert book["warm"].attitude == 0.2, "learnt again, it acts as it is now"
    path.write_text("{")
    with pytest.raises(ConfigError, match=str(path)):
        book["bert"]
    assert book["anna"] == style


@pytest.mark.parametrize(
    "text",
    [
        "warm: {attitude: 3}", "warm: {smiles: 1}", "warm: {attitude: very}", "warm: {attitude: true}",
        "warm: {resting: {noSuchMuscle: 0.1}}", "warm: {resting: {mouthSmileLeft: 0.9}}", "warm: {reference: 1}",
        "warm: {reference: [1, 2, 3]}", "warm: {reference: [.nan, 0, 0, 0, 0, 0, 0, 9]}", "- a list", "warm: 3", "{",
    ],
)  # fmt: skip
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


# Described in words


def test_degrees_and_negations_act_on_their_word_alone() -> None:
    found = described("a shy, warm listener who rarely nods")
    assert [phrase for phrase, _ in found.words] == ["shy", "warm", "rarely nods"]
    assert (found.controls["attitude"], found.controls["nodding"]) == pytest.approx((0.7, -0.8))
    assert not found.unknown

    def one(text: str, control: str = "attitude") -> float:
        return described(text).controls[control]

    assert one("very friendly") > one("friendly") > one("slightly friendly") > 0 > one("not friendly")
    assert one("not friendly") < one("not very friendly") < 0
    assert one("nods a lot", "nodding") > one("nods", "nodding") > 0 > one("never nods", "nodding")
    assert one("not cold but friendly") > one("friendly")
    assert one("dramatic", "intensity") > 1.0 > one("subtle", "intensity")


def test_words_that_mean_nothing_are_reported_and_change_nothing() -> None:
    found = described("A flibbering, WARM one!")
    assert found.unknown == ("flibbering",)
    assert found.controls == described("warm").controls
    found = described("a calm old father who acts like a school teacher")
    assert found.unknown == ("old", "father", "acts", "school", "teacher"), "though they look like known ones"


@given(st.lists(st.sampled_from([*_lexicon().words, *_lexicon().factors, "zzz", ",", "but"]), max_size=30))
def test_any_text_stays_within_the_ranges(words: list[str]) -> None:
    try:
        found = described(" ".join(words))
    except ConfigError:
        return
    assert all(RANGES[name][0] <= value <= RANGES[name][1] for name, value in found.controls.items())


def test_a_description_is_a_style_wherever_one_is_named() -> None:
    book = style_book("")
    style = apply_control(Style(), ListenerControl(style="very calm, never smiles"), book)
    assert (style.name, style.smiling) == ("very calm, never smiles", -1.0)
    assert style.stillness > 0.8
    for name, said in (("entirely unheard of", "no word of the style"), ("unheardof", "unknown style")):
        with pytest.raises(ConfigError, match=said):
            apply_control(Style(), ListenerControl(style=name), book)


def test_a_description_that_may_mean_something_else_is_refused() -> None:
    for text, said in (
        ("lorem ipsum dolor", "no word of the style"), ("warm " * LONGEST, "characters"),
        ("warm, but rarley nods", "did you mean 'rarely'"), ("freindly", "did you mean 'friendly'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            described(text)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """An OpenAI-compatible endpoint."""
    monkeypatch.setenv("no_proxy", "*")
    with Answering() as server:
        yield server


def says(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_language_model_gives_controls(endpoint: Answering) -> None:
    answers = {
        'Sure: {"attitude": 0.5, "smiling": 9, "nodding": "much", "zeal": 1, "delay_s": true}':
            {"attitude": 0.5, "smiling": 1.0},
        f'{{"smiling": {"1" * 400}, "attitude": -1e999}}': {"smiling": 1.0},
    }  # fmt: skip
    for content, controls in answers.items():
        endpoint.answers["/v1/chat/completions"] = says(content)
        assert asked("kind", f"http://127.0.0.1:{endpoint.server_port}/v1", "small") == controls
    heard = json.loads(endpoint.bodies[-1])
    assert (heard["model"], heard["messages"][1]["content"]) == ("small", "kind")


@pytest.mark.parametrize("answer", [b"", b"{}", says("I cannot"), says("{" * 100_000), says('{"attitude": NaN}')])
def test_nonsense_of_a_language_model_and_an_address_that_is_none_are_one_sentence(
    endpoint: Answering, answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.answers["/v1/chat/completions"] = answer
    for address in (f"http://127.0.0.1:{endpoint.server_port}/v1", "http://local host", "file:///etc/hosts"):
        assert main(["style", "describe", "kind", "--endpoint", address, "--model", "small"]) == 1
        said = capsys.readouterr().err
        assert any(words in said for words in ("gives no answer", "holds no controls", "no address of a web service"))
        assert "Traceback" not in said


def test_the_command_tells_what_each_word_does_and_saves(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "styles.yaml"
    file.write_text("")
    assert main(["style", "describe", "very warm zzz", "--save", "lab", "--file", str(file), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["unknown"] == ["zzz"]
    assert "very warm: attitude +1.05" in shown.err
    assert style_book(str(file))["lab"].attitude == 1.0
    assert main(["style", "describe", "nothing known"]) == 1
    assert main(["style", "describe", "warm", "--model", "small"]) == 2

"""Styles of listening: named, saved, described in words, or asked of a language model; and settings with ranges."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from answering import Answering
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.session import SessionConfig
from reactdiff_ros.style_words import LONGEST, _lexicon, asked, described
from reactdiff_ros.styles import RANGES, Style, StyleBook, apply_control, load_styles, merged, save_style, style_book
from reactdiff_ros.types import ListenerControl


def test_numbers_of_a_control_go_before_its_style_and_are_clipped_to_one_table_of_ranges():
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


def test_a_style_that_is_saved_while_it_runs_is_found(tmp_path):
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


@pytest.mark.parametrize("text", [
    "warm: {attitude: 3}", "warm: {smiles: 1}", "warm: {attitude: very}", "warm: {attitude: true}",
    "warm: {resting: {noSuchMuscle: 0.1}}", "warm: {resting: {mouthSmileLeft: 0.9}}", "warm: {reference: 1}",
    "warm: {reference: [1, 2, 3]}", "warm: {reference: [.nan, 0, 0, 0, 0, 0, 0, 9]}", "- a list", "warm: 3", "{",
])  # fmt: skip
def test_bad_styles_are_one_sentence(tmp_path, text):
    path = tmp_path / "styles.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_styles(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_setting_out_of_range_is_named_with_its_range():
    assert SessionConfig(1.0).picture_latency_s == 1.0
    for bad in (-0.1, 1.1, float("nan"), float("inf"), "fast"):
        with pytest.raises(ConfigError, match=r"picture_latency_s.*session.*0 to 1 s"):
            SessionConfig(bad)


def test_two_controls_in_one_do_what_they_do_one_after_the_other():
    styles = load_styles()
    rng = np.random.default_rng(3)
    for _ in range(200):
        start = replace(Style(), **{n: float(rng.uniform(low, high)) for n, (low, high) in RANGES.items()})
        style, together = start, ListenerControl()
        for _ in range(4):
            chosen = {n: float(rng.uniform(low, high)) for n, (low, high) in RANGES.items() if rng.random() < 0.4}
            control = ListenerControl(style=str(rng.choice(["", "", "warm", "calm"])), **chosen)
            style, together = apply_control(style, control, styles), merged(together, control)
        assert apply_control(start, together, styles) == style


def test_degrees_and_negations_act_on_their_word_alone_and_words_that_mean_nothing_are_reported():
    found = described("a shy, WARM listener who rarely nods")
    assert [phrase for phrase, _ in found.words] == ["shy", "warm", "rarely nods"]
    assert (found.controls["attitude"], found.controls["nodding"]) == pytest.approx((0.7, -0.8))
    assert not found.unknown
    found = described("a calm old father who acts like a school teacher")
    assert found.unknown == ("old", "father", "acts", "school", "teacher"), "though they look like known ones"
    assert found.controls == described("calm").controls

    def one(text: str) -> float:
        return described(text).controls["attitude"]

    assert one("very friendly") > one("friendly") > one("slightly friendly") > 0 > one("not friendly")
    assert one("not friendly") < one("not very friendly") < 0


@given(st.lists(st.sampled_from([*_lexicon().words, *_lexicon().factors, "zzz", ",", "but"]), max_size=30))
def test_any_text_stays_within_the_ranges(words):
    try:
        found = described(" ".join(words))
    except ConfigError:
        return
    assert all(RANGES[name][0] <= value <= RANGES[name][1] for name, value in found.controls.items())


def test_a_description_is_a_style_wherever_one_is_named_unless_it_may_mean_something_else():
    book = style_book("")
    style = apply_control(Style(), ListenerControl(style="very calm, never smiles"), book)
    assert (style.name, style.smiling) == ("very calm, never smiles", -1.0)
    assert style.stillness > 0.8
    for name, said in (
        ("entirely unheard of", "no word of the style"), ("unheardof", "unknown style"),
        ("warm, but rarley nods", "did you mean 'rarely'"), ("warm " * LONGEST, "characters"),
        ("w" + "[" * 5000, "unknown style"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=said) as error:
            apply_control(Style(), ListenerControl(style=name), book)
        assert len(str(error.value)) < 2000, "a name of any length is not repeated whole"


def says(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_language_model_gives_controls_and_its_nonsense_is_one_sentence(monkeypatch, reactdiff):
    monkeypatch.setenv("no_proxy", "*")
    partly = says('Sure: {"attitude": 0.5, "smiling": 9, "nodding": "much", "zeal": 1, "delay_s": true}')
    large = says(f'{{"smiling": {"1" * 400}, "attitude": -1e999}}')
    with Answering() as endpoint:
        there, place = f"http://127.0.0.1:{endpoint.server_port}/v1", "/v1/chat/completions"
        for answer, controls in ((partly, {"attitude": 0.5, "smiling": 1.0}), (large, {"smiling": 1.0})):
            endpoint.answers[place] = answer
            assert asked("kind", there, "small") == controls
        heard = json.loads(endpoint.bodies[-1])
        assert (heard["model"], heard["messages"][1]["content"]) == ("small", "kind")
        for address, answer, words in (
            (there, b"", "gives no answer"), (there, b"{}", "gives no answer"), (there, says("No"), "no controls"),
            (there, says("{" * 100_000), "no controls"), (there, says('{"attitude": NaN}'), "no controls"),
            ("http://local host", b"", "gives no answer"), ("file:///etc/hosts", b"", "no address of a web service"),
        ):  # fmt: skip
            endpoint.answers[place] = answer
            _, said = reactdiff("style", "describe", "kind", "--endpoint", address, "--model", "small", code=1)
            assert words in said
            assert "Traceback" not in said


def test_the_command_tells_what_each_word_does_and_saves(tmp_path, reactdiff):
    file = tmp_path / "styles.yaml"
    file.write_text("")
    found, said = reactdiff("style", "describe", "very warm zzz", "--save", "lab", "--file", file, "--json")
    assert found["unknown"] == ["zzz"]
    assert "very warm: attitude +1.05" in said
    assert style_book(str(file))["lab"].attitude == 1.0
    reactdiff("style", "describe", "nothing known", code=1)
    reactdiff("style", "describe", "warm", "--model", "small", code=2)

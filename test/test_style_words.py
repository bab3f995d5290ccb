"""Styles described in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.settings import RANGES
from reactdiff_ros.style_words import LONGEST, _lexicon, asked, described
from reactdiff_ros.styles import Style, apply_control, style_book
from reactdiff_ros.types import ListenerControl


def test_every_word_moves_controls_that_exist_within_their_ranges() -> None:
    lexicon = _lexicon()
    for word, moves in lexicon.words.items():
        assert moves.keys() <= RANGES.keys(), word
        assert all(abs(value) <= 1.0 for value in moves.values()), word
    assert not lexicon.words.keys() & lexicon.factors.keys()


def test_degrees_and_negations_act_on_their_word_alone() -> None:
    found = described("a shy, warm listener who rarely nods")
    assert [phrase for phrase, _ in found.words] == ["shy", "warm", "rarely nods"]
    assert found.controls["attitude"] == 0.7
    assert found.controls["nodding"] == pytest.approx(-0.8)
    assert not found.unknown

    def one(text: str, control: str = "attitude") -> float:
        return described(text).controls[control]

    assert one("very friendly") > one("friendly") > one("slightly friendly") > 0 > one("not friendly")
    assert one("not friendly") < one("not very friendly") < 0
    assert one("nods a lot", "nodding") > one("nods", "nodding") > 0 > one("never nods", "nodding")
    assert one("not cold but friendly") > one("friendly")
    assert one("dramatic", "intensity") > 1.0 > one("subtle", "intensity")


def test_words_that_mean_nothing_are_told_and_change_nothing() -> None:
    found = described("A flibbering, WARM one!")
    assert found.unknown == ("flibbering",)
    assert found.controls == described("warm").controls
    with pytest.raises(ConfigError, match="no word of the style"):
        described("lorem ipsum dolor")
    with pytest.raises(ConfigError, match="characters"):
        described("warm " * LONGEST)


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
    assert style.name == "very calm, never smiles"
    assert style.smiling == -1.0
    assert style.stillness > 0.8
    with pytest.raises(ConfigError, match="no word of the style"):
        apply_control(Style(), ListenerControl(style="entirely unheard of"), book)
    with pytest.raises(ConfigError, match="unknown style"):
        apply_control(Style(), ListenerControl(style="unheardof"), book)


class Model(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that answers what the test wants."""

    answer: ClassVar[bytes] = b""
    heard: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if self.path == "/v1/chat/completions" else 404)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    server = HTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def says(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_number_of_any_length_is_cut_to_the_range(endpoint: str) -> None:
    Model.answer = says(f'{{"smiling": {"1" * 400}, "attitude": -1e999}}')
    assert asked("kind", endpoint, "small") == {"smiling": 1.0}


def test_a_language_model_gives_controls(endpoint: str) -> None:
    Model.answer = says('Sure: {"attitude": 0.5, "smiling": 9, "nodding": "much", "zeal": 1, "delay_s": true}')
    assert asked("kind", endpoint, "small") == {"attitude": 0.5, "smiling": 1.0}
    assert Model.heard[-1]["model"] == "small"
    assert Model.heard[-1]["messages"][1]["content"] == "kind"


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", says("I cannot"), says("{" * 100_000), says('{"attitude": NaN}')]
)
def test_nonsense_of_a_language_model_is_one_sentence(
    endpoint: str, answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Model.answer = answer
    assert main(["style", "describe", "kind", "--endpoint", endpoint, "--model", "small"]) == 1
    said = capsys.readouterr().err
    assert "the endpoint gives no answer" in said or "holds no controls" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("wrong", ["http://local host", "http://localhost:port", "http://[::1"])
def test_an_address_that_is_none_is_one_sentence(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["style", "describe", "kind", "--endpoint", wrong, "--model", "small"]) == 1
    assert "the endpoint gives no answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "right"), [("warm, but rarley nods", "rarely"), ("freindly", "friendly"), ("attentve", "attentive")]
)
def test_a_misspelt_word_is_refused_with_the_one_that_is_meant(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{right}'"):
        described(wrong)


def test_words_that_look_like_known_ones_are_not_refused() -> None:
    found = described("a calm old father who acts like a school teacher")
    assert found.unknown == ("old", "father", "acts", "school", "teacher")


@pytest.mark.parametrize("wrong", ["localhost", "file:///etc/hosts", "ftp://localhost/v1"])
def test_only_web_services_are_asked(wrong: str) -> None:
    with pytest.raises(ConfigError, match="no address of a web service"):
        asked("kind", wrong, "small")


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

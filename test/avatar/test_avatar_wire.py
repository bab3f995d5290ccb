"""The wire format, the JSON made of a status, the guard of Host and Origin, the settings."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reactdiff_ros.avatar
from reactdiff_ros.avatar.access import Guard
from reactdiff_ros.avatar.config import LOOKS, AvatarConfig
from reactdiff_ros.avatar.server import AvatarServer, PreviewServer, load_pages
from reactdiff_ros.avatar.wire import ROBOT_STATES, encode_frame, encode_robot, to_json
from reactdiff_ros.coefficients import INDEX, LOWER, NAMES, UPPER
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.types import ExpressionFrame

PAGE = Path(reactdiff_ros.avatar.__file__).parent / "page"


def frame(values: np.ndarray, mode: str = "listening") -> ExpressionFrame:
    return ExpressionFrame(2_000_000_000, values, mode, ("gaze",), 1_500_000_000, None, None, None)  # type: ignore[arg-type]


def test_a_frame_is_280_bytes_with_its_stamps_and_coefficients() -> None:
    values = np.zeros(58, np.float32)
    values[INDEX["jawOpen"]] = 0.25
    message = encode_frame(frame(values, "idle"), 2**32 + 7)
    assert len(message) == 280
    version, mode, _, number, stamp, picture, sound, plan, _ = struct.unpack_from("<BBHI5d", message)
    assert (version, mode, number, stamp, picture) == (1, 1, 7, 2.0, 1.5)
    assert np.isnan([sound, plan]).all()
    np.testing.assert_array_equal(np.frombuffer(message, "<f4", offset=48), values)


def test_a_tick_of_a_robot() -> None:
    values = np.zeros(58, np.float32)
    values[INDEX["jawOpen"]] = 7.0
    message = encode_robot("returning", 3, 12.5, 0.25, values, [1.0, 2.0], [3.0, 4.0], [True, False])
    assert len(message) == 256 + 9 * 2
    assert struct.unpack_from("<BBHIdfI", message) == (2, ROBOT_STATES.index("returning"), 2, 3, 12.5, 0.25, 0)
    assert np.frombuffer(message, "<f4", 58, 24)[INDEX["jawOpen"]] == 1.0, "bounded"
    assert np.frombuffer(message, "<f4", 4, 256).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert message[-2:] == b"\x01\x00"
    with pytest.raises(ValueError, match="dancing"):
        encode_robot("dancing", 1, 0.0, 0.0, values, [], [], [])
    with pytest.raises(ValueError, match="1 targets, 2 commands"):
        encode_robot("following", 1, 0.0, 0.0, values, [1.0], [1.0, 2.0], [True])


@given(st.lists(st.floats(width=32), min_size=58, max_size=58))
def test_what_reaches_the_page_is_finite_and_bounded(numbers: list[float]) -> None:
    sent = np.frombuffer(encode_frame(frame(np.array(numbers, np.float32)), 1), "<f4", offset=48)
    assert np.isfinite(sent).all()
    assert (sent >= LOWER).all()
    assert (sent <= UPPER).all()


@pytest.mark.parametrize(
    "bad", [frame(np.zeros(57, np.float32)), frame(np.zeros((58, 1))), frame(np.zeros(58), "angry")]
)
def test_a_malformed_frame_is_refused(bad: ExpressionFrame) -> None:
    with pytest.raises(ValueError, match="expression"):
        encode_frame(bad, 1)


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(WILD)
def test_any_status_becomes_strict_json(value: object) -> None:
    json.loads(to_json(value), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.mark.parametrize(
    ("file", "name", "ours"),
    [("rig.js", "NAMES", NAMES), ("looks.js", "LOOKS", LOOKS), ("robot/tick.js", "STATES", ROBOT_STATES)],
)
def test_the_page_knows_the_same_names(file: str, name: str, ours: tuple[str, ...]) -> None:
    listed = re.search(rf"{name} = \[(.*?)\];", (PAGE / file).read_text(), re.DOTALL)
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == ours


@pytest.mark.parametrize(
    ("folders", "script"), [(AvatarServer.folders, b'src="main.js"'), (PreviewServer.folders, b'src="robot.js"')]
)
def test_the_page_is_found_and_needs_nothing_from_outside(folders: tuple[str, ...], script: bytes) -> None:
    pages = load_pages("night", folders)
    assert {"index.html", "link.js", "draw.js"} <= set(pages)
    assert b'data-look="night"' in pages["index.html"]
    assert script in pages["index.html"]
    for name, page in pages.items():
        urls = set(re.findall(rb"https?://[^\s\"']+", page)) - {b"http://www.w3.org/2000/svg"}
        assert not urls, name


@pytest.mark.parametrize(
    ("bound", "host", "origin", "allowed"),
    [
        ("127.0.0.1", "localhost:8765", None, True),
        ("127.0.0.1", "127.0.0.1:8765", "http://127.0.0.1:8765", True),
        ("127.0.0.1", "localhost:8765", "http://localhost:3000", False),
        ("127.0.0.1", "localhost:8765", "http://evil.example", False),
        ("127.0.0.1", "evil.example:8765", "http://evil.example:8765", False),
        ("127.0.0.1", "192.168.1.5:8765", None, False),
        ("127.0.0.1", "robot.lab:8765", "http://robot.lab:8765", True),
        ("0.0.0.0", "192.168.1.5:8765", "http://192.168.1.5:8765", True),
        ("0.0.0.0", "evil.example:8765", None, False),
        ("192.168.1.5", "192.168.1.6:8765", None, False),
        ("face.lab.", "face.lab.:8765", None, True),
    ],
)
def test_who_may_talk_to_the_page(bound: str, host: str | None, origin: str | None, allowed: bool) -> None:
    assert (Guard(bound, ("robot.lab",)).refuses(host, origin) is None) is allowed


@pytest.mark.parametrize(
    "bad",
    [
        {"host": "http://x"}, {"host": "robot..lab"}, {"host": "x" * 64 + ".lab"}, {"port": -1}, {"port": 65536},
        {"port_tries": 0}, {"look": 'x"><script>'}, {"look": "fancy"}, {"max_clients": 0}, {"stale_s": float("nan")},
        {"extra_hosts": ("a b",)}, {"extra_hosts": (".lab",)},
    ],
)  # fmt: skip
def test_a_bad_setting_is_one_sentence(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="screen face"):
        AvatarConfig(**bad)  # type: ignore[arg-type]


def test_the_face_is_neutral_half_a_second_after_its_input_died() -> None:
    """With slack for a picture of the page, and for the server's timers."""
    stale_s = AvatarConfig().stale_s
    assert 0.3 <= stale_s <= 0.5 - 0.1
    before_the_server_says_it = re.search(r"this\.staleMs = (\d+);", (PAGE / "link.js").read_text())
    assert int(before_the_server_says_it[1]) == round(stale_s * 1000)

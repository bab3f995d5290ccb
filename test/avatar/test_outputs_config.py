"""What a user may write as outputs, and the sentence for what not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.avatar.outputs import DEFAULTS, OutputsConfig, Target, parse_targets
from reactdiff_ros.errors import ConfigError


def test_everything_stays_on_this_machine_unless_another_is_named():
    targets = parse_targets("vmc, live_link,arkit,topic")
    assert [t.kind for t in targets] == ["vmc", "live_link", "arkit", "topic"]
    assert {t.host for t in targets} == {"127.0.0.1", ""}
    assert [t.port for t in targets] == [39539, 11111, 8770, 0]


@pytest.mark.parametrize("text", ["", " ", "none"])
def test_no_output(text):
    assert parse_targets(text) == ()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("vmc@192.168.1.20", Target("vmc", "192.168.1.20", 39539)),
        ("live_link@studio-pc.local:12345", Target("live_link", "studio-pc.local", 12345)),
        ("arkit@0.0.0.0:9001", Target("arkit", "0.0.0.0", 9001)),
        ("vmc@[::1]:40000", Target("vmc", "::1", 40000)),
        ("vmc@[::1]", Target("vmc", "::1", 39539)),
        ("vmc@studio.example.org.", Target("vmc", "studio.example.org.", 39539)),
    ],
)
def test_named_targets(text, target):
    assert parse_targets(text) == (target,)
    assert parse_targets(str(target)) == (target,)


@pytest.mark.parametrize(
    "text",
    ["vcm", "vmc@", "vmc@:39539", "vmc@host:0", "vmc@host:65536", "vmc@host:port", "vmc@::1", "vmc@a b", "topic@host",
     "vmc,,live_link", "vmc,vmc", "vmc@[host]", "vmc:39539", "vmc@host:", "@host", "vmc@host@host",
     "vmc@studio..local", "vmc@" + "x" * 64, "vmc@" + "studio." * 40],
)  # fmt: skip
def test_what_is_no_output_is_said_in_one_sentence(text):
    with pytest.raises(ConfigError) as caught:
        parse_targets(text)
    assert "\n" not in str(caught.value)
    assert "outputs" in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_targets_or_one_error(text):
    try:
        targets = parse_targets(text)
    except ConfigError:
        return
    assert all(t.kind in DEFAULTS and 0 <= t.port <= 65535 for t in targets)


@pytest.mark.parametrize(
    "wrong",
    [{"vmc_names": "other"}, {"subject": ""}, {"subject": "x" * 65}, {"subject": "a\nb"}, {"origins": ("avatar.org",)},
     {"stale_s": 0.0}, {"fade_s": -1.0}, {"stale_s": float("nan")}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"outputs.{next(iter(wrong))}"):
        OutputsConfig(**wrong)

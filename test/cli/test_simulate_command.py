"""reactdiff dev simulate: statistics, pictures, voice banks, and several listeners of each speaker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulate import HUMAN, listeners_of
from reactdiff_ros.model.style import style_of
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.types import FloatArray


def test_statistics_and_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dyads", "12", "--seconds", "20", "--seed", "2", "--plots", str(tmp_path / "p"), "--json"]
    assert main(["dev", "simulate", *arguments]) == 0
    out, error = capfd.readouterr()
    answer = json.loads(out)
    assert set(answer["statistics"]) == set(answer["human"]) == set(HUMAN)
    assert all(np.isfinite(value) for value in answer["statistics"].values())
    assert answer["prior"] == "natural"
    assert "output" not in answer
    for path in answer["plots"]:
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "people: 8.4" in error


SEED, WORLDS, FRAMES, EACH = 5, 60, 1000, 3


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(SEED, WORLDS, FRAMES, prior="natural")


@pytest.fixture(scope="module")
def listeners(dyads: Dyads) -> dict[str, FloatArray]:
    return listeners_of(dyads, SEED, EACH, "natural")


def test_the_first_listener_is_the_dyad_s_own(dyads: Dyads, listeners: dict[str, FloatArray]) -> None:
    own = (dyads.listener, dyads.activity, dyads.controls, dyads.temperament.traits, dyads.style, dyads.style_given)
    for name, value in zip(listeners, own, strict=True):
        assert np.array_equal(listeners[name][:, 0], value), name


def test_the_same_seed_the_same_bits_however_many_there_are(dyads: Dyads, listeners: dict[str, FloatArray]) -> None:
    again, fewer, other = (listeners_of(dyads, *a, "natural") for a in ((SEED, EACH), (SEED, 2), (SEED + 1, 2)))
    for name, value in listeners.items():
        assert np.array_equal(value, again[name]), name
        assert np.array_equal(value[:, :2], fewer[name]), name
    assert not np.array_equal(listeners["listener"][:, 1], other["listener"][:, 1])
    assert not np.array_equal(listeners["traits"][:, 1], other["traits"][:, 1])


def test_two_worlds_share_their_listeners_and_styles_are_the_other_world_s(listeners: dict[str, FloatArray]) -> None:
    half = WORLDS // 2
    for number in range(EACH):
        assert np.array_equal(listeners["traits"][:half, number], listeners["traits"][half:, number])
        assert np.array_equal(listeners["controls"][:half, number], listeners["controls"][half:, number])
        values, given = style_of(listeners["listener"][:, number])
        assert np.array_equal(listeners["style_given"][:half, number], given[half:])
        assert np.array_equal(listeners["style"][half:, number], values[:half] * given[:half])
    odd = listeners_of(simulate(3, 5, 300), 3, 2, "wide")
    assert odd["style_given"][:4, 1].any()
    assert not odd["style_given"][4].any()

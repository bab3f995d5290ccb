"""Dyads: seeds, pairs of worlds that share a listener, and styles measured on the other world."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.conditions import CONTROL_COUNT, STYLE_COUNT
from reactdiff_ros.model.style import style_of
from reactdiff_ros.simulator import dyads as dyads_module
from reactdiff_ros.simulator.dyads import Dyads, simulate, simulator_hash

NAN = float("nan")


@pytest.fixture(scope="module")
def dyads() -> Dyads:
    return simulate(3, 40, 300)


def test_shapes(dyads: Dyads) -> None:
    assert dyads.listener.shape == (40, 300, COEFFICIENT_COUNT)
    assert dyads.activity.shape == dyads.stimulus.smile.shape == dyads.speaker.camera.shape == (40, 300)
    assert dyads.controls.shape == (40, CONTROL_COUNT)
    assert dyads.style.shape == dyads.style_given.shape == (40, STYLE_COUNT)
    assert dyads.activity.min() >= 0
    assert dyads.activity.max() <= 1
    assert dyads.listener.dtype == np.float32


def test_the_same_seed_the_same_bits(dyads: Dyads) -> None:
    again, other = simulate(3, 40, 300), simulate(4, 40, 300)
    assert np.array_equal(dyads.listener, again.listener)
    for f in fields(dyads.speaker):
        assert np.array_equal(getattr(dyads.speaker, f.name), getattr(again.speaker, f.name), equal_nan=True), f.name
    assert not np.array_equal(dyads.listener, other.listener)


def test_worlds_in_pairs_share_a_listener(dyads: Dyads) -> None:
    assert np.array_equal(dyads.temperament.traits[:20], dyads.temperament.traits[20:])
    assert np.array_equal(dyads.controls[:20], dyads.controls[20:])
    assert not np.array_equal(dyads.stimulus.smile[:20], dyads.stimulus.smile[20:])


def test_a_style_is_the_other_world_s(dyads: Dyads) -> None:
    values, given = style_of(dyads.listener)
    assert np.array_equal(dyads.style[:20], values[20:] * given[20:])
    assert np.array_equal(dyads.style[20:], values[:20] * given[:20])
    assert np.array_equal(dyads.style_given[:20], given[20:])


def test_a_style_tells_who_it_is() -> None:
    made = simulate(8, 160, 750, prior="natural")
    own, given = style_of(made.listener)
    there = (made.stimulus.seen.mean(1) > 0.8) & (np.roll(made.stimulus.seen.mean(1), 80) > 0.8)
    for name, column, least in (("share", 0, 0.25), ("speed", 3, 0.25), ("head", 6, 0.4)):
        both = there & (given[:, column] > 0) & (made.style_given[:, column] > 0)
        assert np.corrcoef(own[both, column], made.style[both, column])[0, 1] > least, name


def test_an_odd_world_has_no_style() -> None:
    made = simulate(3, 5, 300)
    assert made.style_given[:4].any()
    assert not made.style_given[4].any()
    assert not simulate(3, 1, 200).style_given.any()


def test_given_controls_are_set_and_speakers_stay(dyads: Dyads) -> None:
    controls = np.full((40, CONTROL_COUNT), NAN, dtype=np.float32)
    controls[:, 0] = 0.5
    controls[3, 1], controls[23, 1] = 0.9, 0.1
    made = simulate(3, 40, 300, controls=controls)
    assert np.allclose(made.controls[:, 0], 0.5)
    assert made.controls[3, 1] == pytest.approx(0.9)
    assert np.array_equal(made.controls[:, 2:], dyads.controls[:, 2:])
    assert np.array_equal(made.stimulus.smile, dyads.stimulus.smile)
    assert np.array_equal(made.temperament.traits, dyads.temperament.traits)
    # The two worlds of that pair have two listeners then.
    assert not made.style_given[3].any()
    assert not made.style_given[23].any()
    assert made.style_given[4].any()


def test_without_precursors_nothing_is_announced(dyads: Dyads) -> None:
    plain = simulate(3, 40, 300, precursors=False)
    assert dyads.stimulus.brighten.any()
    assert not plain.stimulus.brighten.any()
    assert np.array_equal(plain.stimulus.smile, dyads.stimulus.smile)


def test_the_hash_is_of_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(dyads_module.__file__).parents[1]
    beside = ("tokens.py", "conditions.py", "style.py")
    for path in [*(package / "simulator").glob("*.py"), *(package / "model" / name for name in beside)]:
        copy = tmp_path / path.relative_to(package)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(path.read_text())
    shipped = simulator_hash()
    assert len(shipped) == 16
    int(shipped, 16)
    monkeypatch.setattr(dyads_module, "_FOLDER", tmp_path / "simulator")
    assert simulator_hash() == shipped

    def changed(name: str, old: str, new: str) -> str:
        path = tmp_path / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        found = simulator_hash()
        path.write_text(text)
        return found

    other = {
        changed("simulator/nodding.py", "_SIZE_DEG: Final = 4.8", "_SIZE_DEG: Final = 4.9"),
        changed("simulator/behaviour.py", '"brow_up": (2.2,', '"brow_up": (2.3,'),
        changed("model/style.py", "import numpy as np", "import numpy as numpy_"),
    }
    assert len(other | {shipped}) == 4
    # How it is laid out, comments, and the policy, which makes nobody, are no part of it.
    assert (
        changed("simulator/nodding.py", "_SIZE_DEG: Final = 4.8", "# a comment\n_SIZE_DEG: Final = ( 4.8 )") == shipped
    )
    assert changed("simulator/policy.py", "import numpy as np", "import numpy as numpy_") == shipped
    (tmp_path / "simulator" / "another.py").write_text("A = 1\n")
    assert simulator_hash() != shipped

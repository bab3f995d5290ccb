"""A simulated listener: causal, answers as people answer, moves as people move, and follows its controls."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from quiet_people import controls, nothing

from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, INDEX, LOWER, SMILE, UPPER
from reactdiff_ros.evaluation.metrics.events import blinks, brow_raises, nods, smile_curve, smiles
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.simulator.listener import Listening, listen
from reactdiff_ros.simulator.movements import FULL_DEG
from reactdiff_ros.simulator.speaker import Insertion, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import draw_temperaments


def with_smile(quiet: Stimulus, frame: int, size: float) -> Stimulus:
    """One smile of 1.2 s with an onset of 0.5 s."""
    time = np.arange(quiet.seen.shape[1]) - frame
    up, down = np.clip(time / 12, 0, 1), np.clip((time - 42) / 20, 0, 1)
    shape = (size * up**2 * (3 - 2 * up) * (1 - down)).astype(np.float32)
    return replace(quiet, smile=np.maximum(quiet.smile, shape))


def responses(size: float = 0.7, count: int = 250, **given: float) -> float:
    """Share of listeners whose smile changes by over .1 for 3 frames within 0.3 to 1.5 s of a smile's onset."""
    quiet = nothing(count, 120)
    who = draw_temperaments(4, count, controls=controls(**given))
    plain, after = (listen(s, who, 9).coefficients[..., SMILE[0]] for s in (quiet, with_smile(quiet, 75, size)))
    moved = np.abs(after - plain)[:, 75 + 8 : 75 + 38] > 0.1
    return float((moved[:, :-2] & moved[:, 1:-1] & moved[:, 2:]).any(1).mean())


@pytest.fixture(scope="module")
def ordinary() -> tuple[Stimulus, Listening]:
    """200 natural listeners, a minute each."""
    stimulus = stimulus_of(make_speakers(3, 100, 1500)).take(np.repeat(np.arange(100), 2))
    return stimulus, listen(stimulus, draw_temperaments(1, 200), 5)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Of 150 natural listeners to whom somebody talks who is there, a minute each."""
    stimulus = stimulus_of(make_speakers(3, 300, 1500))
    rows = np.flatnonzero((stimulus.seen.mean(1) > 0.9) & (stimulus.speech.mean(1) > 0.3))[:150]
    return listen(stimulus.take(rows), draw_temperaments(1, len(rows)), 5).coefficients


def test_nothing_reads_ahead() -> None:
    rng = np.random.default_rng(0)
    before = stimulus_of(make_speakers(5, 12, 200))
    who = draw_temperaments(2, 12, prior="wide")
    first = listen(before, who, 3)
    for t in (1, 60, 133):
        changed = {f.name: getattr(before, f.name).copy() for f in fields(before)}
        for values in changed.values():
            values[:, t:] = rng.random((12, 200 - t))
        second = listen(Stimulus(**changed), who, 3)
        assert np.array_equal(first.coefficients[:, :t], second.coefficients[:, :t])
        assert np.array_equal(first.activity[:, :t], second.activity[:, :t])
        assert not np.array_equal(first.coefficients[:, t:], second.coefficients[:, t:])


def test_pairs_share_their_noise_exactly() -> None:
    plain, with_event = (
        stimulus_of(make_speakers(8, 40, 200, insertion=event)) for event in (None, Insertion("smile", 100, 0.8))
    )
    merry, grave = (draw_temperaments(2, 40, controls=controls(smiling=v)) for v in (1.0, -1.0))
    a, b, c = (listen(x, who, 7).coefficients for x, who in ((plain, merry), (with_event, merry), (plain, grave)))
    assert np.array_equal(a[:, :100], b[:, :100])
    assert not np.array_equal(a[:, 100:], b[:, 100:])
    # Other people, the same noise: whom smiling does not move, stays as it was.
    assert np.array_equal(merry.traits, grave.traits)
    assert np.array_equal(a[..., BLINK], c[..., BLINK])
    assert np.array_equal(a[..., HEAD_YAW], c[..., HEAD_YAW])
    assert not np.array_equal(a[..., SMILE], c[..., SMILE])


def test_smiles_are_answered_as_often_as_people_answer_and_more_when_asked_to() -> None:
    natural = responses()
    assert 0.10 < natural < 0.36
    assert responses(responsiveness=1.0, attitude=1.0, delay=0.0) >= 0.85
    for responsive in (0.15, 1.0):
        warm = responses(responsiveness=responsive, attitude=1.0)
        cool = responses(responsiveness=responsive, attitude=-1.0)
        assert cool <= warm / 3


def test_a_cue_is_nodded_to() -> None:
    quiet = nothing(250, 110)
    quiet.speech[:] = 1
    quiet.speech[:, 0] = 0
    cue = quiet.cue.copy()
    cue[:, 75:81] = 1

    def excess(**given: float) -> float:
        who = draw_temperaments(4, 250, controls=controls(**given))
        with_cue = listen(replace(quiet, cue=cue), who, 3).onsets["nod"][:, 79:95].any(1).mean()
        return float(with_cue - listen(quiet, who, 3).onsets["nod"][:, 79:95].any(1).mean())

    assert 0.2 < excess() < 0.7
    assert excess(responsiveness=1.0) > 0.6
    assert excess(nodding=-1.0) < excess(nodding=1.0) - 0.2


def test_rates_and_shares_are_people_s(ordinary: tuple[Stimulus, Listening]) -> None:
    stimulus, made = ordinary
    face = made.coefficients
    there = stimulus.seen.mean(1) > 0.9
    smile = smiles(smile_curve(face[there]))
    assert 6.0 < smile.per_minute().mean() < 10.0
    assert np.percentile(smile.per_minute(), 10) < 5 < 10 < np.percentile(smile.per_minute(), 90)
    assert 0.8 < np.median(smile.length_s) < 2.0
    assert np.percentile(smile.length_s, 90) > 4.0
    assert 0.22 < smile.share().mean() < 0.45
    talks = stimulus.speech.mean(1) > 0.3
    a_minute = made.onsets["nod"].sum(1) / 1.0
    assert 2.0 < a_minute[talks].mean() < 6.0
    assert 12.0 < blinks(face).per_minute().mean() < 28.0
    assert 1.4 < brow_raises(face).per_minute().mean() < 3.0


def test_motion_of_the_head_has_people_s_power(ordinary: tuple[Stimulus, Listening]) -> None:
    stimulus, made = ordinary
    there = stimulus.seen.mean(1) > 0.9
    frequency = np.fft.rfftfreq(1500, FRAME_S)
    measured = {HEAD_PITCH: (1.5, 1.3, 0.9, 0.6), HEAD_YAW: (1.2, 1.0, 0.6, 0.4)}
    for axis, people in measured.items():
        degrees = np.degrees(made.coefficients[there, :, axis])
        power = 2 * np.abs(np.fft.rfft(degrees - degrees.mean(1, keepdims=True), axis=1)) ** 2 / 1500**2
        bands = ((0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.5))
        for (low, high), value in zip(bands, people, strict=True):
            rms = np.sqrt(power[:, (frequency >= low) & (frequency < high)].sum(1).mean())
            # Above 2 Hz the recordings' own noise is part of the figure.
            assert (0.2 if low >= 2 else 0.5) * value < rms < 1.5 * value


def test_bad_values_do_not_spread() -> None:
    broken = stimulus_of(make_speakers(5, 6, 120))
    for f in fields(broken):
        getattr(broken, f.name)[:, 40:60] = np.nan
    face = listen(broken, draw_temperaments(2, 6, prior="wide"), 3).coefficients
    assert np.isfinite(face).all()
    assert (face >= LOWER).all()
    assert (face <= UPPER).all()


def mean_smile(face: np.ndarray) -> float:
    return float(smile_curve(face).mean())


MEASURES = {
    "attitude": (mean_smile,), "responsiveness": (mean_smile,), "smiling": (mean_smile,),
    "nodding": (lambda face: nods(face[..., HEAD_PITCH]).per_minute().mean(),),
    "liveliness": (lambda face: np.diff(face[..., 52:55], axis=1).std(), lambda face: face[..., 2].mean()),
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURES)
def test_controls_act_monotonically(name: str) -> None:
    stimulus, index = stimulus_of(make_speakers(21, 90, 400)), CONTROL_NAMES.index(name)
    rest = dict.fromkeys(CONTROL_NAMES, 0.0) | {"responsiveness": 0.15}
    faces = []
    for value in np.linspace(CONTROL_LOWER[index], CONTROL_UPPER[index], 3):
        who = draw_temperaments(4, 90, controls=controls(**(rest | {name: float(value)})))
        faces.append(listen(stimulus, who, 6).coefficients)
    for measure in MEASURES[name]:
        least, middle, most = map(measure, faces)
        assert least * 1.05 < middle < most / 1.05


AWAY_DEG = 6.5
CUE = 20


@pytest.fixture(scope="module")
def dips() -> list[np.ndarray]:
    """How far heads bow in answer to a cue, in degrees, from the cue on, a row a nod."""
    quiet = nothing(800, 190)
    quiet.speech[:, 1:] = 1
    cue = quiet.cue.copy()
    cue[:, CUE : CUE + 6] = 1
    asked = controls(responsiveness=1.0, nodding=-1.0, liveliness=0.0, attitude=0.0)
    who = draw_temperaments(4, 800, controls=asked)
    plain, after = listen(quiet, who, 3), listen(replace(quiet, cue=cue), who, 3)
    one = ~plain.onsets["nod"].any(1) & (after.onsets["nod"].sum(1) == 1)
    assert one.sum() > 300
    dip = (after.coefficients - plain.coefficients)[one, CUE:, HEAD_PITCH]
    return list(np.degrees(dip))


def peaks(dip: np.ndarray) -> np.ndarray:
    """The size of each cycle of a nod."""
    inner = dip[1:-1]
    return np.asarray(inner[(inner > dip[:-2]) & (inner >= dip[2:]) & (inner > 0.2)])


def test_nods_have_people_s_size_pace_and_latency(dips: list[np.ndarray]) -> None:
    largest = np.array([dip.max() for dip in dips])
    np.testing.assert_allclose(np.percentile(largest, [25, 50, 75]), [4.1, 5.2, 7.1], rtol=0.15)
    moving = [np.flatnonzero(dip > 1e-4) for dip in dips]
    hertz = [len(peaks(dip)) / ((at[-1] - at[0] + 1) * FRAME_S) for dip, at in zip(dips, moving, strict=True)]
    low, high = np.percentile(hertz, [10, 90])
    assert 1.1 < low < high < 2.2  # 1.2 to 2.1
    latency = np.array([at[0] for at in moving]) * FRAME_S
    assert latency.min() > 0.1
    assert latency.max() < 0.85
    assert 0.3 < np.median(latency) < 0.45


def eyes(face: np.ndarray) -> np.ndarray:
    """Yaw and pitch of the eyes in degrees, (N, T, 2)."""
    sides = (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookDownLeft", "eyeLookUpLeft"))
    return np.stack([face[..., INDEX[a]] - face[..., INDEX[b]] for a, b in sides], axis=-1) * FULL_DEG


def test_listeners_look_at_the_partner_as_people_do(face: np.ndarray) -> None:
    angles = eyes(face)
    away = (np.abs(angles) > AWAY_DEG).any(-1)
    share = 1 - away.mean(1)
    assert 0.75 < share.mean() < 0.95  # .75 and more while listening
    assert np.percentile(share, 5) > 0.65
    assert np.percentile(share, 95) < 0.97
    spread = angles[~away].std(0)
    np.testing.assert_allclose(spread, [2.9, 2.0], rtol=0.15)


def test_smiles_and_cheeks_are_as_in_recorded_calls(face: np.ndarray) -> None:
    """People, 36 calls: correlation .50 / .81 / .93 (5th, 50th, 95th percentile of the listeners), .27 of the cheeks
    raised at rest; smiles with themselves 5 s later .27, in shorter streams less."""
    smile = face[..., list(SMILE)].mean(-1)
    cheeks = face[..., [INDEX["cheekSquintLeft"], INDEX["cheekSquintRight"]]].mean(-1)
    together = [np.corrcoef(*both)[0, 1] for both in zip(smile, cheeks, strict=True)]
    assert 0.75 < np.median(together) < 0.9
    assert np.percentile(together, 5) < 0.75
    assert 0.1 < (cheeks > 0.05)[smile < 0.05].mean() < 0.3
    moved, lag = smile - smile.mean(1, keepdims=True), 125
    later = (moved[:, lag:] * moved[:, :-lag]).sum() / np.square(moved).sum() / (1 - lag / moved.shape[1])
    assert 0.15 < later < 0.3

"""Events, motion, coupling and spectra of faces: known streams have known figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, HEAD_PITCH, INDEX, REFLEXES, SMILE, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import robot_metrics
from reactdiff_ros.evaluation.metrics import coupling as c
from reactdiff_ros.evaluation.metrics import spectra
from reactdiff_ros.evaluation.metrics.coupling import lag_correlations, reach, reference_lags, signed_lags
from reactdiff_ros.evaluation.metrics.events import KINDS, nods, onset_lags
from reactdiff_ros.evaluation.metrics.robot import jerk, limits, on_grid
from reactdiff_ros.evaluation.studies.simulator import nod_chance, nod_match, nod_times
from reactdiff_ros.simulator.dyads import simulate
from tools.speed.metrics import reference_speaker_lags


def nod(cycles: float, degrees: float, hz: float, at: int = 100, frames: int = 500) -> np.ndarray:
    pitch = np.zeros((1, frames))
    t = np.arange(round(cycles / hz * 25)) / 25
    pitch[0, at : at + len(t)] = np.radians(degrees) / 2 * (1 - np.cos(2 * np.pi * hz * t))
    return pitch


@pytest.mark.parametrize(("cycles", "hz"), [(1, 1.2), (1, 1.5), (2, 1.5), (3, 2.1), (2, 3.0)])
def test_nods_of_people_are_found_once_also_on_a_head_that_is_never_quite_still(cycles: int, hz: float) -> None:
    found = nods(nod(cycles, 5.2, hz))
    assert len(found) == 1
    assert abs(int(found.start[0]) - 100) <= 4
    assert found.length_s[0] == pytest.approx(cycles / hz, abs=0.3)
    assert np.degrees(found.size[0]) == pytest.approx(5.2, abs=1.5)
    rng = np.random.default_rng(0)
    still = rng.normal(0.0, 0.002, (40, 500)) + np.cumsum(rng.normal(0.0, 4e-4, (40, 500)), axis=1)
    found = nods(still + nod(cycles, 4.8, hz, at=100) + nod(cycles, 4.8, hz, at=350))
    assert 70 <= len(found) <= 84  # of 80
    assert np.abs(found.start - np.where(found.start < 225, 100, 350)).mean() < 2.0
    assert np.abs(found.length_s - cycles / hz).mean() < 0.15


def test_sway_a_tilt_to_a_new_place_and_noise_are_no_nods() -> None:
    t = np.arange(1500) / 25
    sway = np.radians(6) * np.sin(2 * np.pi * 0.3 * t)[None]
    step = np.radians(8) * (1 / (1 + np.exp(-(t - 20) * 8)))[None]
    noise = np.random.default_rng(0).normal(0, np.radians(0.3), (1, 1500))
    assert [len(nods(x)) for x in (sway, step, noise)] == [0, 0, 0]
    assert len(nods(sway + nod(2, 6, 1.8, frames=1500))) == 1


def test_a_blink_is_no_shut_eye_and_a_laugh_no_smile() -> None:
    face = np.zeros((1, 500, 58), dtype=np.float32)
    face[0, 50:55, list(BLINK)] = face[0, 100:200, list(BLINK)] = 1.0
    face[0, 300:330, [INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]] = 0.4
    face[0, 300:350, list(SMILE)] = face[0, 400:450, list(SMILE)] = 0.7
    face[0, 400:450, INDEX["jawOpen"]] = 0.3 + 0.3 * np.sin(np.arange(50) * 2 * np.pi * 5 / 25)
    assert [len(KINDS[kind](face)) for kind in ("blinks", "brow_raises", "laughs")] == [1, 1, 1]
    assert KINDS["brow_raises"](face).start.tolist() == [300]


@given(hnp.arrays(np.float32, (2, 60, 58), elements=st.floats(-1, 1, width=32)))
def test_any_stream_gives_events_in_order_and_within_it(face: np.ndarray) -> None:
    face[..., HEAD_PITCH] *= 0.3
    for find in KINDS.values():
        found = find(face)
        assert np.all((found.start >= 0) & (found.start < found.end) & (found.end <= 60))
        same = found.row[1:] == found.row[:-1]
        assert np.all(found.start[1:][same] >= found.end[:-1][same] - 1)
        assert np.all(found.share() <= 1.02)


@pytest.mark.parametrize(("lag_s", "bin_"), [(-0.6, 0), (0.0, 1), (0.6, 2), (1.6, 3)])
def test_an_answer_falls_into_its_bin_and_chance_is_taken_off(lag_s: float, bin_: int) -> None:
    rng, frames = np.random.default_rng(1), 5000
    shape = np.concatenate([np.linspace(0, 0.5, 13), np.full(25, 0.5), np.linspace(0.5, 0, 25)])

    def curves(onsets: list[np.ndarray]) -> np.ndarray:
        out = np.zeros((len(onsets), frames))
        for row, start in ((row, start) for row, starts in zip(out, onsets, strict=True) for start in starts):
            np.maximum(row[start : start + len(shape)], shape, out=row[start : start + len(shape)])
        return out

    speaker, own = ([np.sort(rng.integers(100, frames - 200, n)) for _ in range(12)] for n in (20, 12))
    shift = round(lag_s * 25)
    answers = [np.concatenate([s[rng.random(20) < 0.5] + shift, o]) for s, o in zip(speaker, own, strict=True)]
    lags = onset_lags(curves(speaker), curves(answers), rng)
    excess = lags.observed - lags.chance
    assert excess[bin_] == pytest.approx(0.45, abs=0.12)
    assert excess[bin_] > lags.high[bin_]
    assert all(excess[i] < 0.08 for i in range(4) if i != bin_)


def test_nods_match_fully_not_at_all_or_by_chance_which_is_taken_off() -> None:
    own, still = nod_times(nod(2, 5.7, 1.667, at=100) + nod(2, 5.7, 1.667, at=300)), nod_times(np.zeros((1, 500)))
    assert (nod_match(own, own), nod_match(still, own), nod_match(still, still)) == (1.0, 0.0, 0.0)
    rng = np.random.default_rng(0)
    beyond = []
    for _ in range(60):
        mine, theirs = ([np.sort(rng.uniform(0, 30, rng.poisson(rate))) for _ in range(10)] for rate in (3.8, 1.5))
        beyond.append(nod_match(mine, theirs) - nod_chance(mine, theirs, 30.0))
    assert abs(np.mean(beyond)) < min(3 * np.std(beyond) / len(beyond) ** 0.5, 0.05)


def times(frames: int, rate_hz: float = 25.0) -> np.ndarray:
    return 100.0 + np.arange(frames) / rate_hz


def smiling(*onsets_s: float) -> np.ndarray:
    """A minute of a face that smiles for 2 s from each onset, in half a second."""
    face, t = np.zeros((1500, COEFFICIENT_COUNT)), np.arange(1500) / 25
    for onset in onsets_s:
        rise = np.clip((t - onset) / 0.5, 0, 1) - np.clip((t - onset - 2.0) / 0.5, 0, 1)
        face[:, list(SMILE)] += 0.7 * rise[:, None]
    return face


def test_smiles_half_a_second_later_are_found_late_by_that() -> None:
    onsets = (4.0, 11.0, 19.0, 25.0, 33.0, 41.0, 50.0)
    found = robot_metrics(smiling(*(o + 0.6 for o in onsets)), times(1500), speaker=smiling(*onsets))
    assert found.response_lag is not None
    assert found.response_lag.median_s == pytest.approx(0.6, abs=0.05)
    assert found.response_lag.share_300_to_1000_ms == pytest.approx(1.0)
    assert found.response_lag.peak_ms == pytest.approx(600, abs=45)
    assert found.smile_coupling is not None
    assert found.smile_coupling > 0.5
    assert found.bands["smiles"].per_minute == pytest.approx(7.0)
    assert (found.bands["smiles"].share_in_band, found.bands["blinks"].share_in_band) == (1.0, 0.0)
    assert found.band_share == pytest.approx(1 / 3)


def test_another_rate_and_gaps_go_onto_the_grid() -> None:
    at = times(400, 50.0)
    face, keep = np.repeat(np.sin(at)[:, None] * 0.1, COEFFICIENT_COUNT, 1), (at < 102) | (at > 104)
    assert on_grid(face, at, times(150), "listener")[:, 3] == pytest.approx(0.1 * np.sin(times(150)), abs=1e-3)
    assert robot_metrics(face[keep], at[keep]).gap_share == pytest.approx(2 / 8, abs=0.02)


def test_limits_count_bounds_but_not_rest_and_closed_lids() -> None:
    face = np.zeros((100, COEFFICIENT_COUNT))
    face[:, list(BLINK)] = 1.0
    assert limits(face) == (0.0, 0)
    face[10:20, HEAD_PITCH] = UPPER[HEAD_PITCH]
    face[50:55, HEAD_PITCH] = -UPPER[HEAD_PITCH]
    assert limits(face) == (pytest.approx(0.15), 2)


def test_a_cubic_has_a_known_jerk_and_a_jump_at_every_hop_is_seen() -> None:
    cubic = np.zeros((100, COEFFICIENT_COUNT))
    cubic[:, HEAD_PITCH] = (np.arange(100) / 25) ** 3 / 60
    assert jerk(cubic)["head rotation"] == pytest.approx(6 / 60 / 3, rel=1e-6)
    assert jerk(cubic)["smile"] == 0.0
    rng = np.random.default_rng(0)
    still = np.repeat(rng.random((100, COEFFICIENT_COUNT)), 4, 0)
    even = np.cumsum(rng.standard_normal((400, COEFFICIENT_COUNT)), 0) * 0.01
    seams, smooth = (robot_metrics(face, times(400)).hop_smoothness for face in (still + 1e-3 * even, even))
    assert np.nanmean([*seams.values()]) > 1.2
    assert np.nanmean([*smooth.values()]) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("stream", "at", "sentence"), [
    (np.zeros((100, 57)), times(100), "is not"), (np.zeros((100, 58)), times(100)[::-1], "do not rise"),
    (np.full((100, 58), np.nan), times(100), "not numbers"), (np.zeros((10, 58)), times(10), "2 s at least"),
])  # fmt: skip
def test_bad_streams_are_named(stream: np.ndarray, at: np.ndarray, sentence: str) -> None:
    with pytest.raises(ReactdiffError, match=sentence):
        robot_metrics(stream, at)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_matrix_is_numpys_correlation_at_every_lag_of_what_both_streams_know(gaps: bool) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal((rows, 400)).cumsum(1) for rows in (2, 3))
    if gaps:
        a[1, 30:90] = b[2, 200:230] = np.nan

    def correlation(x: np.ndarray, y: np.ndarray) -> float:
        shared = ~np.isnan(x) & ~np.isnan(y)
        return float(np.corrcoef(x[shared], y[shared])[0, 1])

    wanted = [[np.mean([correlation(x[: 400 - lag], y[lag:]) for lag in c.LAGS]) for y in b] for x in a]
    np.testing.assert_allclose(c.cross_coupling(a, b), wanted)
    assert (c.LAGS[0] / 25, c.LAGS[-1] / 25) == (0.32, 2.0)


def test_marginals_bridge_short_gaps_and_leave_long_ones_out() -> None:
    curve = np.zeros((1, 25 * 60))
    for start in (100, 400, 700):
        curve[0, start : start + 50] = 2.0
    short, long = curve.copy(), curve.copy()
    short[0, 110 : 110 + c.BRIDGED_FRAMES] = np.nan
    np.testing.assert_allclose(c.marginals(short), c.marginals(curve))
    long[0, 750:] = np.nan  # half a minute, from the end of the last smile on
    for smiled, a_minute, shared in ((curve, 3, 0.1), (long, 6, 0.2)):
        rate, length, share, _, _ = c.marginals(smiled)[0]
        assert (np.exp(rate), np.exp(length)) == (pytest.approx(a_minute), pytest.approx(2, abs=0.1))
        assert 1 / (1 + np.exp(-share)) == pytest.approx(shared, abs=0.02)
    assert c.marginals(long)[0, 4] == pytest.approx(0.8, abs=0.05)
    with pytest.raises(ValueError, match="empty"):
        c.marginals(np.full((1, 100), np.nan))


def test_lags_have_their_sign_and_are_those_of_the_plain_way() -> None:
    rng = np.random.default_rng(0)
    speaker = np.cumsum(rng.standard_normal((120, 25)), axis=0).astype(np.float32)
    copies = lag_correlations(np.stack([np.roll(speaker, 7, 0), np.roll(speaker, -5, 0)]), speaker, reach(25.0))
    assert signed_lags(copies).tolist() == [7.0, -5.0]
    assert reference_lags(copies).tolist() == [7.0, 5.0]
    made = np.stack([0.6 * np.roll(speaker, lag, 0) + 2 * rng.standard_normal((120, 25)) for lag in (0, 3, 12)])
    made = made.astype(np.float32)
    made[0, :, 4] = (np.arange(120) > 115) * 1.0
    assert reference_lags(lag_correlations(made, speaker, 49)).tolist() == reference_speaker_lags(made, speaker)


def test_known_processes_have_their_power_autocorrelation_and_distance() -> None:
    rng, tone, noise = np.random.default_rng(3), np.zeros((1, 2048, 58)), np.zeros((20, 1000, 58))
    tone[0, :, HEAD_PITCH] = 0.2 * np.sin(2 * np.pi * 3.0 * np.arange(2048) / 25)
    power = spectra.band_power(tone)[:, HEAD_PITCH]
    assert power[1] == pytest.approx(0.02, rel=0.05)
    assert max(power[0], power[2]) < 1e-4
    for t in range(1, 1000):
        noise[:, t] = 0.9 * noise[:, t - 1] + (1 - 0.9**2) ** 0.5 * rng.normal(size=(20, 58))
    found = spectra.autocorrelations(noise, (1, 4))
    np.testing.assert_allclose(found.mean(1), [0.9, 0.9**4], atol=0.02)
    a, b = rng.normal(0, 1, (200_000, 2)), rng.normal(1, 2, (200_000, 2))
    assert spectra.frechet(a, b) == pytest.approx(2 + 2, rel=0.03)  # mean 1 apart and deviation 1 apart, twice


def test_a_damped_and_a_jittery_face_are_told_and_what_nobody_can_see_is_not() -> None:
    reference, plain, other = (simulate(seed, 60, 500, prior="natural").listener for seed in (1, 2, 3))
    unseen, jittery = (plain + np.random.default_rng(0).normal(0, size, plain.shape) for size in (5e-4, 0.03))
    unseen[..., REFLEXES] = 0.0
    faces = (plain, unseen, 0.6 * plain, jittery)
    found = [spectra.frechet_distance(face, reference, other) for face in faces]
    of_plain, of_unseen, *of_fakes = (row["distance"] / row["floor"] for row in found)
    assert of_unseen < 1.02 * of_plain
    assert min(of_fakes) > 1.3
    of_plain, of_unseen, *of_fakes = (spectra.two_sample_auc(face, reference, 0)["auc"] for face in faces)
    assert of_unseen < of_plain + 0.05
    assert min(of_fakes) > 0.7

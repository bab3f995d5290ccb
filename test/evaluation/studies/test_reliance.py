"""Speaker reliance: null for a listener that ignores the speaker, above null for one that does not."""

from __future__ import annotations

import numpy as np

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.evaluation.studies.behaviour import (
    derangement,
    expected_correlation,
    paired_less_shuffled,
    smile_coupling,
)


def slow(seed: int, shape: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(shape[0], shape[1] + 40)).cumsum(1)
    out = noise[:, 40:] - noise[:, :-40]
    return np.clip(0.4 + 0.2 * out / out.std(), 0, 1)


def test_who_follows_relies_and_who_does_not_does_not() -> None:
    speaker = slow(0, (40, 800))
    streams = np.zeros((2, 40, 800, 58))
    other = speaker[derangement(40)]
    for k, source in enumerate((speaker, other)):
        late = np.roll(source, 20, axis=1)[..., None]
        streams[k][..., list(SMILE)] = 0.5 * late + 0.5 * slow(1, (40, 800))[..., None]
    told = paired_less_shuffled(smile_coupling(speaker, streams[0]), smile_coupling(speaker, streams[1]), 0)
    assert told["low"] > 0.2
    ignores = slow(2, (40, 800))
    same = np.zeros((40, 800, 58))
    same[..., list(SMILE)] = ignores[..., None]
    null = paired_less_shuffled(smile_coupling(speaker, same), smile_coupling(speaker, same), 0)
    assert null["reliance"] == 0


def test_correlation_with_what_is_expected() -> None:
    expected = np.zeros((3, 400, 58))
    expected[..., SMILE[0]] = slow(3, (3, 400))
    assert np.allclose(expected_correlation(expected, expected), 1)
    assert np.abs(expected_correlation(expected, np.roll(expected, 200, axis=1))).max() < 0.8
    assert np.all(expected_correlation(expected, np.zeros_like(expected)) == 0)

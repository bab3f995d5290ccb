import numpy as np
import pytest

from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, EYE_LOOK, INDEX, SMILE
from reactdiff_ros.model.plan.groups import (
    GROUP_NAMES,
    GROUP_OF_COEFFICIENT,
    GROUP_OF_LATENT,
    GROUPS,
    LATENT_COUNT,
    latents_observed,
)


def test_every_coefficient_and_every_latent_has_one_group():
    members = sorted(i for group in GROUPS for i in group.coefficients)
    assert members == list(range(COEFFICIENT_COUNT))
    latents = [i for group in GROUPS for i in range(LATENT_COUNT)[group.latents]]
    assert latents == list(range(LATENT_COUNT))
    assert all(GROUP_OF_LATENT[group.latents].tolist() == [i] * group.width for i, group in enumerate(GROUPS))


@pytest.mark.parametrize(
    ("group", "some"),
    [
        ("smile", [*SMILE, INDEX["cheekSquintLeft"]]), ("mouth", [INDEX["jawOpen"], INDEX["mouthPressLeft"]]),
        ("brows", [INDEX["browInnerUp"]]), ("blinks", BLINK), ("gaze", EYE_LOOK), ("head", range(52, 58)),
    ],
)  # fmt: skip
def test_members(group, some):
    assert {GROUP_NAMES[i] for i in GROUP_OF_COEFFICIENT[list(some)]} == {group}


def test_a_group_is_observed_with_one_of_its_coefficients():
    observed = np.zeros((2, COEFFICIENT_COUNT), dtype=bool)
    observed[0, SMILE[0]] = True
    latents = latents_observed(observed)
    assert latents.shape == (2, LATENT_COUNT)
    assert {GROUP_NAMES[i] for i in GROUP_OF_LATENT[latents[0]]} == {"smile"}
    assert not latents[1].any()

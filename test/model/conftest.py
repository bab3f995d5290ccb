"""Small networks that the tests of this folder share, and listeners that plan with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig


@pytest.fixture(scope="session")
def networks(any_weights: Path) -> Networks:
    return Networks(find_weights(any_weights))


@pytest.fixture(scope="session")
def make(networks: Networks) -> Callable[..., DiffusionListener]:
    """`make(seed, candidates=3, ...)` -> a listener with these settings."""

    def make(seed: int = 0, **settings: object) -> DiffusionListener:
        config = ListenerConfig(**{"steps": 2, "candidates": 2, **settings})  # type: ignore[arg-type]
        return DiffusionListener(seed=seed, config=config, networks=networks)

    return make

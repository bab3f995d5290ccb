"""Makes the listener of a policy. The model's runtime is loaded only where the model is asked for."""

from __future__ import annotations

from collections.abc import Callable

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.policies import make_policy
from reactdiff_ros.vocabulary import POLICIES


def make_listener(
    policy: str,
    *,
    seed: int,
    config: ListenerConfig | None = None,
    timer: Callable[[], float] | None = None,
    like: Listener | None = None,
) -> Listener:
    """A listener of the named policy.

    Args:
        policy: one of `types.POLICIES`.
        seed: of all that it draws.
        config: its settings.
        timer: seconds of a monotonic clock, for the compute time that the model reports; None: not measured.
        like: a listener whose networks it shares, if both have some.

    Raises:
        ConfigError: the policy is unknown.
        WeightsError: the model's weights are missing or wrong (policy "model" only). A node shows the sentence and
            goes on with `fallback_listener`.
    """
    config = config or ListenerConfig()
    if policy == "model":
        from reactdiff_ros.model.diffusion_listener import DiffusionListener

        networks = like.networks if isinstance(like, DiffusionListener) else None
        return DiffusionListener(seed=seed, config=config, timer=timer, networks=networks)
    if policy not in POLICIES:
        raise ConfigError("unknown listener policy", where=policy, todo=f"use one of {', '.join(POLICIES)}")
    return make_policy(policy, seed=seed, config=config)


def fallback_listener(*, seed: int, config: ListenerConfig | None = None, error: str) -> Listener:
    """The rules listener in place of a model that cannot be loaded; `error` stays in its `state().error`."""
    return make_policy("rules", seed=seed, config=config or ListenerConfig(), error=error)

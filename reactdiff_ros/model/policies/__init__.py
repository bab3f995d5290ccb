"""Every listener by its name. The model's runtime is loaded only where the model is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.listener import Listener, ListenerConfig, PolicyListener
from reactdiff_ros.model.policies.baselines import IdleListener, MimeListener, RandomListener
from reactdiff_ros.model.policies.rules import RulesListener
from reactdiff_ros.settings import POLICIES

if TYPE_CHECKING:
    from reactdiff_ros.model.backends.runtime import Networks

_POLICIES: dict[str, type[PolicyListener]] = {
    policy.NAME: policy for policy in (RulesListener, MimeListener, RandomListener, IdleListener)
}


def make_listener(
    policy: str,
    *,
    seed: int,
    config: ListenerConfig | None = None,
    timer: Callable[[], float] | None = None,
    like: Listener | None = None,
    networks: Networks | None = None,
) -> Listener:
    """A listener of the named policy.

    Args:
        policy: one of `types.POLICIES`.
        seed: of all that it draws.
        config: its settings.
        timer: seconds of a monotonic clock, for the compute time that the model reports; None: not measured.
        like: a listener whose networks it shares, if both have some.
        networks: loaded ones that the model uses, where there is no `like`; None: those of `config`, on the CPU.

    Raises:
        ConfigError: the policy is unknown.
        WeightsError: the model's weights are missing or wrong (policy "model" only). A node shows the sentence and
            goes on with `fallback_listener`.
    """
    config = config or ListenerConfig()
    if policy == "model":
        from reactdiff_ros.model.diffusion_listener import DiffusionListener

        if isinstance(like, DiffusionListener):
            networks = like.networks
        return DiffusionListener(seed=seed, config=config, timer=timer, networks=networks)
    if policy not in _POLICIES:
        raise ConfigError("unknown listener policy", where=policy, todo=f"use one of {', '.join(POLICIES)}")
    return _POLICIES[policy](seed=seed, config=config)


def fallback_listener(*, seed: int, config: ListenerConfig | None = None, error: str) -> Listener:
    """The rules listener in place of a model that cannot be loaded; `error` stays in its `state().error`."""
    return RulesListener(seed=seed, config=config or ListenerConfig(), error=error)

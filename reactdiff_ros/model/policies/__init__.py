"""Listeners without a network: rules, mime, random and idle."""

from __future__ import annotations

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies.base import PolicyListener
from reactdiff_ros.model.policies.idle import IdleListener
from reactdiff_ros.model.policies.mime import MimeListener
from reactdiff_ros.model.policies.random import RandomListener
from reactdiff_ros.model.policies.rules import RulesListener

_POLICIES: dict[str, type[PolicyListener]] = {
    policy.NAME: policy for policy in (RulesListener, MimeListener, RandomListener, IdleListener)
}


def make_policy(policy: str, *, seed: int, config: ListenerConfig, error: str = "") -> PolicyListener:
    """The policy of that name; `error` is shown in its state.

    Raises:
        ConfigError: the policy is unknown.
    """
    if policy not in _POLICIES:
        raise ConfigError("unknown listener policy", where=policy, todo=f"use one of {', '.join(sorted(_POLICIES))}")
    return _POLICIES[policy](seed=seed, config=config, error=error)

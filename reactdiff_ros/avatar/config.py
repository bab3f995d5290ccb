"""Settings of the screen face, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reactdiff_ros.errors import ConfigError

LOOKS = ("soft", "paper", "night", "robot")
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_:\-]{1,63}\.)*[A-Za-z0-9_:\-]{1,63}\.?")
"""Parts of 1 to 63 characters: of others no address can be made."""


@dataclass(frozen=True, slots=True)
class AvatarConfig:
    """Where the page is served and how it looks. Raises ConfigError for a value out of range."""

    host: str = "127.0.0.1"
    """Address to bind. Anything but a loopback address puts the face on the network."""
    port: int = 8765
    """First port to try; 0 = any free one."""
    port_tries: int = 20
    """How many ports are tried, one after the other."""
    look: str = "soft"
    """One of LOOKS; the page's `?look=` overrides it for one browser."""
    extra_hosts: tuple[str, ...] = ()
    """More host names or addresses under which the page may be opened (a robot's name in the lab's network)."""
    max_clients: int = 50
    """Pages that may be open at the same time."""
    stale_s: float = 0.4
    """The face turns neutral when no expression came for this long, seconds. Asked are 0.5 s: the rest is slack."""

    def __post_init__(self) -> None:
        _check(bool(_HOST.fullmatch(self.host)), "host", self.host, "give an address such as 127.0.0.1")
        _check(0 <= self.port <= 65535, "port", self.port, "give 0 to 65535")
        _check(1 <= self.port_tries <= 1000, "port_tries", self.port_tries, "give 1 to 1000")
        _check(self.look in LOOKS, "look", self.look, "choose one of " + ", ".join(LOOKS))
        _check(1 <= self.max_clients <= 1000, "max_clients", self.max_clients, "give 1 to 1000")
        _check(0.05 <= self.stale_s <= 60.0, "stale_s", self.stale_s, "give 0.05 to 60 s")
        for name in self.extra_hosts:
            _check(bool(_HOST.fullmatch(name)), "extra_hosts", name, "give host names without port or scheme")


def _check(good: bool, key: str, value: object, todo: str) -> None:
    if not good:
        raise ConfigError(f"the screen face's setting {key} cannot be {value!r}", where=f"avatar.{key}", todo=todo)

"""Settings of the screen face and of the outputs to other avatars, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reactdiff_ros.avatar.looks import SUFFIX, read_look
from reactdiff_ros.errors import ConfigError

LOOKS = ("soft", "paper", "robot", "night", "pixel", "eyes", "cub")
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
    """One of LOOKS, or the path of a look of one's own; the page's `?look=` overrides it for one browser."""
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
        if self.look.endswith(SUFFIX):
            read_look(Path(self.look))
        else:
            _check(self.look in LOOKS, "look", self.look, f"choose one of {', '.join(LOOKS)}, or a file of your own")
        _check(1 <= self.max_clients <= 1000, "max_clients", self.max_clients, "give 1 to 1000")
        _check(0.05 <= self.stale_s <= 60.0, "stale_s", self.stale_s, "give 0.05 to 60 s")
        for name in self.extra_hosts:
            _check(bool(_HOST.fullmatch(name)), "extra_hosts", name, "give host names without port or scheme")


# ---- Outputs to other people's avatars

DEFAULTS: Final[dict[str, tuple[str, int]]] = {
    "vmc": ("127.0.0.1", 39539),
    "live_link": ("127.0.0.1", 11111),
    "arkit": ("127.0.0.1", 8770),
    "topic": ("", 0),
}
"""Host and port of each kind: the standard ports of VMC and Live Link, one of our own for the websocket."""
VMC_NAMES: Final = ("arkit", "perfect_sync")
_LABEL: Final = r"[A-Za-z0-9_\-]{1,63}"
_TARGET_HOST: Final = re.compile(rf"(?=[A-Za-z0-9].{{0,252}}\Z)(?:{_LABEL}\.)*{_LABEL}\.?|[0-9A-Fa-f:]{{2,45}}")
_FORM: Final = re.compile(r"(?P<kind>[a-z_]+)(?:@(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>.*))?)?")
_TODO: Final = "write vmc, live_link, arkit or topic, with @HOST or @HOST:PORT where it is another machine"


@dataclass(frozen=True, slots=True)
class Target:
    """One output. For `arkit` host and port are those that are served on, else those that are sent to."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        if not self.host:
            return self.kind
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}@{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OutputsConfig:
    """Settings of all outputs. Raises ConfigError for a value out of range."""

    targets: tuple[Target, ...] = ()
    vmc_names: str = "arkit"
    """Names of VMC's blend shapes: ARKit's own (jawOpen) or those of Perfect Sync clips (JawOpen)."""
    subject: str = "reactdiff"
    """Live Link's subject name, 1 to 64 printable characters."""
    origins: tuple[str, ...] = field(default=())
    """Web pages of other hosts that may open the websocket, as https://avatar.example.org."""
    stale_s: float = 0.2
    """If no frame comes for this long, the face fades to neutral, s."""
    fade_s: float = 0.3
    """Duration of the fade, s."""

    def __post_init__(self) -> None:
        _check_output(self.vmc_names in VMC_NAMES, "vmc_names", self.vmc_names, f"choose one of {', '.join(VMC_NAMES)}")
        fits = 0 < len(self.subject) <= 64 and self.subject.isprintable()
        _check_output(fits, "subject", self.subject, "give 1 to 64 printable characters")
        for origin in self.origins:
            good = re.fullmatch(r"https?://[^/\s]+", origin) is not None
            _check_output(good, "origins", origin, "give origins such as https://avatar.example.org")
        _check_output(0.04 <= self.stale_s <= 10.0, "stale_s", self.stale_s, "give 0.04 to 10 s")
        _check_output(0.0 <= self.fade_s <= 10.0, "fade_s", self.fade_s, "give 0 to 10 s")


def parse_targets(text: str) -> tuple[Target, ...]:
    """Targets from a list such as `vmc,live_link@192.168.1.20,arkit@0.0.0.0:8770`; empty or `none`: no target.

    Raises:
        ConfigError: an unknown kind, a malformed host or port, or the same target twice.
    """
    items = [item.strip() for item in text.split(",")]
    if items in ([""], ["none"]):
        return ()
    targets: list[Target] = []
    for item in items:
        target = _target(item)
        if target in targets:
            raise ConfigError(f"the output {target} is given twice", where="outputs", todo="give it once")
        targets.append(target)
    return tuple(targets)


def _target(item: str) -> Target:
    match = _FORM.fullmatch(item)
    if match is None or match["kind"] not in DEFAULTS:
        raise ConfigError(f"{item!r} is no output", where="outputs", todo=_TODO)
    host, port = DEFAULTS[match["kind"]]
    named = match["six"] if match["six"] is not None else match["host"]
    if named is None:
        return Target(match["kind"], host, port)
    if match["kind"] == "topic":
        raise ConfigError("the output topic has no host", where=f"outputs: {item}", todo="write topic alone")
    if not _TARGET_HOST.fullmatch(named) or (":" in named) != (match["six"] is not None):
        raise ConfigError(f"{named!r} is no host", where=f"outputs: {item}", todo="give a name or an address")
    if match["port"] is not None:
        if not re.fullmatch(r"\d{1,5}", match["port"]) or not 1 <= int(match["port"]) <= 65535:
            raise ConfigError(f"{match['port']!r} is no port", where=f"outputs: {item}", todo="give 1 to 65535")
        port = int(match["port"])
    return Target(match["kind"], named, port)


def _check(good: bool, key: str, value: object, todo: str, room: str = "avatar") -> None:
    if not good:
        owner = "the screen face's" if room == "avatar" else "the outputs'"
        raise ConfigError(f"{owner} setting {key} cannot be {value!r}", where=f"{room}.{key}", todo=todo)


def _check_output(good: bool, key: str, value: object, todo: str) -> None:
    _check(good, key, value, todo, "outputs")

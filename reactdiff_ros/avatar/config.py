"""Settings of the screen face and of the outputs to other avatars, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.avatar.looks import SUFFIX, read_look
from reactdiff_ros.avatar.model_file import AVATARS, SUFFIXES, read_model_file
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.settings import check_settings, setting

AVATAR, OUTPUTS = "settings of the screen face", "settings of the outputs"
LOOKS = ("soft", "paper", "robot", "night", "pixel", "eyes", "cub")
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_:\-]{1,63}\.)*[A-Za-z0-9_:\-]{1,63}\.?")
"""Parts of 1 to 63 characters: of others no address can be made."""


def check_own(path: Path) -> str:
    """Check a look's or an avatar's file; what a user should know of it. Raises ConfigError if it cannot be shown."""
    if path.suffix == SUFFIX:
        read_look(path)
    return read_model_file(path).sentence if path.suffix in SUFFIXES else ""


@dataclass(frozen=True, slots=True)
class AvatarConfig:
    """Where the page is served and how it looks. Raises ConfigError for a value out of range."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on. 0.0.0.0 makes the face reachable from other machines through the link that the terminal "
        "prints.",
    )
    port: int = setting(
        8765, "Port to listen on. If it is in use, the next free one is taken. 0: any free one.", low=0, high=65535
    )
    port_tries: int = 20
    """How many ports are tried, one after the other."""
    https: bool = setting(
        False,
        "Encrypt the page with a certificate of this machine's own (docs/security.md). Browsers of other machines give "
        "a camera only then.",
    )
    state_dir: str = setting(
        "", "Folder of that certificate. Empty: $XDG_STATE_HOME/reactdiff_ros/https, else ~/.local/state."
    )
    extra_hosts: tuple[str, ...] = setting(
        (), "Additional host names for the page, for example the robot's name in the network."
    )
    look: str = setting(
        "soft",
        "Look of the face: a name, or the path of a look or a 3D avatar of your own (docs/looks.md).",
        choices=(*LOOKS, *AVATARS, *(f"FILE{suffix}" for suffix in (SUFFIX, *SUFFIXES))),
    )
    max_clients: int = setting(50, "Maximum number of open pages.", low=1, high=1000)
    stale_s: float = setting(
        0.4, "If no expression arrives for this long, the face turns neutral.", unit="s", low=0.05, high=10.0
    )

    def __post_init__(self) -> None:
        check_settings(self, AVATAR)
        _check(self.port_tries > 0, AVATAR, "port_tries", self.port_tries, "give 1 or more")
        _check(bool(_HOST.fullmatch(self.host)), AVATAR, "host", self.host, "give an address such as 127.0.0.1")
        if self.look.endswith((SUFFIX, *SUFFIXES)):
            check_own(Path(self.look))
        else:
            known = f"choose one of {', '.join((*LOOKS, *AVATARS))}, or a file of your own"
            _check(self.look in (*LOOKS, *AVATARS), AVATAR, "look", self.look, known)
        for name in self.extra_hosts:
            _check(bool(_HOST.fullmatch(name)), AVATAR, "extra_hosts", name, "give host names without port or scheme")


# ---- Outputs to other people's avatars

DEFAULTS: Final[dict[str, tuple[str, int]]] = {
    "vmc": ("127.0.0.1", 39539), "live_link": ("127.0.0.1", 11111), "arkit": ("127.0.0.1", 8770), "topic": ("", 0),
}  # fmt: skip
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
    vmc_names: str = setting(
        "arkit", "Names of the VMC blend shapes: ARKit (jawOpen) or Perfect Sync clips (JawOpen).", choices=VMC_NAMES
    )
    subject: str = setting("reactdiff", "Live Link subject name, 1 to 64 printable characters.")
    origins: tuple[str, ...] = setting(
        (), "Web pages on other hosts that may open the websocket, for example https://avatar.example.org."
    )
    stale_s: float = setting(
        0.2, "If no expression arrives for this long, the output fades to neutral.", unit="s", low=0.04, high=10.0
    )
    fade_s: float = setting(0.3, "Duration of the fade to neutral.", unit="s", low=0.0, high=10.0)

    def __post_init__(self) -> None:
        check_settings(self, OUTPUTS)
        names = f"choose one of {', '.join(VMC_NAMES)}"
        _check(self.vmc_names in VMC_NAMES, OUTPUTS, "vmc_names", self.vmc_names, names)
        fits = 0 < len(self.subject) <= 64 and self.subject.isprintable()
        _check(fits, OUTPUTS, "subject", self.subject, "give 1 to 64 printable characters")
        for origin in self.origins:
            good = re.fullmatch(r"https?://[^/\s]+", origin) is not None
            _check(good, OUTPUTS, "origins", origin, "give origins such as https://avatar.example.org")


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
        raise ConfigError(f"{item!r} is not an output", where="outputs", todo=_TODO)
    host, port = DEFAULTS[match["kind"]]
    named = match["six"] if match["six"] is not None else match["host"]
    if named is None:
        return Target(match["kind"], host, port)
    if match["kind"] == "topic":
        raise ConfigError("the output topic has no host", where=f"outputs: {item}", todo="write topic alone")
    if not _TARGET_HOST.fullmatch(named) or (":" in named) != (match["six"] is not None):
        raise ConfigError(f"{named!r} is not a host", where=f"outputs: {item}", todo="give a name or an address")
    if match["port"] is not None:
        if not re.fullmatch(r"\d{1,5}", match["port"]) or not 1 <= int(match["port"]) <= 65535:
            raise ConfigError(f"{match['port']!r} is not a port", where=f"outputs: {item}", todo="give 1 to 65535")
        port = int(match["port"])
    return Target(match["kind"], named, port)


def _check(good: bool, where: str, key: str, value: object, todo: str) -> None:
    if not good:
        raise ConfigError(f"{key} cannot be {value!r}", where=where, todo=todo)

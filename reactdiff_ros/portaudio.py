"""Microphones and loudspeakers as PortAudio (sounddevice) lists them; each fault is one sentence."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, Literal

from reactdiff_ros.errors import DeviceError, explained

Kind = Literal["microphone", "loudspeaker"]
_SIDES = {"microphone": "input", "loudspeaker": "output"}
_CHOOSE = "choose another with 'python3 -m sounddevice'"
_TODO = {"microphone": f"plug one in or {_CHOOSE}", "loudspeaker": f"{_CHOOSE}, or press 'Hear the robot' on its page"}


class AudioDevice:
    """A microphone or loudspeaker by its name, whether or not it is connected.

    Args:
        kind: what is looked for.
        wanted: index, or a part of the name (any case); None = the system's default.
        sounddevice: the module, or one like it; None = imported at the first use.
    """

    def __init__(self, kind: Kind, wanted: int | str | None, sounddevice: Any = None) -> None:
        self._kind, self._wanted, self._module = kind, wanted, sounddevice

    @property
    def module(self) -> Any:
        """The module sounddevice.

        Raises:
            DeviceError: the PortAudio library is not installed.
        """
        if self._module is None:
            what, todo = "the PortAudio library is missing", "run 'apt install libportaudio2'"  # an OSError
            with explained((ImportError, OSError), what, where=self._kind, todo=todo, error=DeviceError):
                self._module = importlib.import_module("sounddevice")
        return self._module

    @property
    def where(self) -> str:
        """How a message names the device before it is found."""
        return f"default {self._kind}" if self._wanted is None else f"{self._kind} {self._wanted}"

    def find(self) -> dict[str, Any]:
        """PortAudio's description of the device: index, name, channels, rates.

        Raises:
            DeviceError: there is no such device.
        """
        module = self.module
        with self.one_sentence(self.where):
            return dict(module.query_devices(self._index(module), _SIDES[self._kind]))

    def rescan(self) -> None:
        """List the devices again: PortAudio does so only when it starts."""
        module = self.module
        with contextlib.suppress(Exception):
            module._terminate()
            module._initialize()

    @contextlib.contextmanager
    def one_sentence(self, where: str) -> Iterator[None]:
        """Any fault of PortAudio as a DeviceError."""
        try:
            yield
        except DeviceError:
            raise
        except Exception as error:  # PortAudioError shares no base with what another version raises
            reason = " ".join(str(a) for a in error.args[:1]).strip() or type(error).__name__
            what = f"the {self._kind} cannot be used ({reason.splitlines()[0][:120]})"
            raise DeviceError(what, where=where, todo=_TODO[self._kind]) from error

    def _index(self, module: Any) -> int | None:
        wanted = self._wanted
        if wanted is None or isinstance(wanted, int):
            return wanted
        if wanted.strip().isdigit():
            return int(wanted)
        found = [d for d in module.query_devices() if d[f"max_{_SIDES[self._kind]}_channels"] > 0]
        for device in found:
            if wanted.lower() in str(device["name"]).lower():
                return int(device["index"])
        names = ", ".join(str(d["name"]) for d in found)[:200]
        todo = f"choose one of: {names}" if names else "none is connected, so plug one in"
        raise DeviceError(f"there is no such {self._kind}", where=wanted, todo=todo)


def close(stream: Any) -> None:
    """Stop a stream at once; None and a device that is gone are harmless."""
    if stream is not None:
        for finish in (stream.abort, stream.close):
            with contextlib.suppress(Exception):  # a device that is gone cannot be stopped
                finish()

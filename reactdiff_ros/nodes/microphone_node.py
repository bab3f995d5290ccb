"""Sound of a microphone, in chunks as they come from the device."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import Any

from reactdiff_ros import msg
from reactdiff_ros.capture.echo import EchoCanceller
from reactdiff_ros.capture.microphone import Microphone, MicrophoneConfig
from reactdiff_ros.errors import MissingExtraError
from reactdiff_ros.messages import fill_audio, sound_value
from reactdiff_ros.nodes.base import POLL_S, ReactdiffNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import Sound

CHUNK_S = 0.02


class MicrophoneNode(ReactdiffNode):
    """Hands on what PortAudio hears; a missing microphone is tried again until it is there."""

    NAME = "microphone_node"

    def setup(self) -> None:
        """Check the settings; the microphone itself is opened by the reader."""
        device = str(self.values["device"]).strip()
        self._config = MicrophoneConfig(
            device=None if device in ("", "default") else device, rate_hz=int(self.values["sample_rate"]) or None,
            channels=int(self.values["channels"]) or None, block_s=CHUNK_S,
        )  # fmt: skip
        self._sounds = self.advertise("audio")
        self.backend = "portaudio"

    def start(self) -> None:
        """Start the reader, and hear the robot's own voice where it can be taken out."""
        self._echo: EchoCanceller | None = None
        if self.values["cancel_echo"]:
            with suppress(MissingExtraError):  # people are then not heard while the robot speaks: that is no fault
                self._echo = EchoCanceller()
                self.subscribe("speech/audio", self._on_voice)
        heard = threading.Event()
        self._microphone = Microphone(self._config, self.now_ns, on_sound=heard.set)
        self.read("microphone", self._microphone, partial(self._take, self._microphone, heard))

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        microphone = self._microphone
        if not microphone.is_open:
            return "opens the microphone"
        return f"{microphone.name} gives {microphone.channels} channels at {microphone.rate_hz} Hz"

    def observe_health(self) -> None:
        """Count what was not read in time."""
        self.meter.dropped["audio"] = self._microphone.dropped + self._microphone.overflows

    def _on_voice(self, message: Any) -> None:
        if self._echo is not None:
            self._echo.spoken(sound_value(message))

    def _hand_on(self, sound: Sound) -> None:
        if self._echo is not None and self._echo.hears(sound):
            able = self._echo.able(sound)
            unable = f"the robot's voice stays in sound of {sound.samples.shape[1]} channels at {sound.rate_hz} Hz"
            todo = "set sample_rate to 48000 and channels to 1, so that people are heard while it speaks"
            self.set_problem("echo", "" if able else f"{unable}: {todo}", Level.WARN)
            cleaned = self._echo.clean(sound) if able else sound
            if cleaned is None:
                return
            sound = cleaned
        self.publish(self._sounds, fill_audio(msg.AudioChunk(), sound, str(self.values["frame_id"])))
        self.counted(sound.end_ns)

    def _take(self, microphone: Microphone, heard: threading.Event, _stopping: threading.Event) -> None:
        heard.wait(POLL_S)
        heard.clear()
        for sound in microphone.read(self.now_ns()):
            self._hand_on(sound)
            self.solved("microphone", f"{microphone.name} is there")


def main() -> int:
    """Run the node."""
    return run(MicrophoneNode)

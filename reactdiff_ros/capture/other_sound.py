"""Sound of other packages' nodes, where their messages are installed. Two packages share the name audio_common_msgs.

- ros-drivers/audio_common: AudioDataStamped carries bytes; AudioInfo, sent once, says what they are.
- mgonzs13/audio_common: AudioStamped carries samples of one of five types with rate and channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reactdiff_ros.errors import MessageError
from reactdiff_ros.messages import from_stamp, pcm_sound
from reactdiff_ros.types import Sound

_FULL_SCALE = 32767.0


class StampedBytes:
    """ros-drivers' sound. Until an AudioInfo comes, bytes are taken for that node's default: 16 kHz mono S16LE."""

    def __init__(self) -> None:
        self._rate_hz, self._channels, self._coding, self._format = 16000, 1, "wave", "S16LE"

    def on_info(self, info: Any) -> None:
        """Take in an AudioInfo."""
        self._rate_hz, self._channels = int(info.sample_rate), int(info.channels)
        self._coding, self._format = info.coding_format.lower(), info.sample_format.upper()

    def sound(self, message: Any) -> Sound:
        """An AudioDataStamped as Sound. Raises MessageError for compressed or odd-sized data."""
        return self._sound(from_stamp(message.header.stamp), message.audio.data)

    def unstamped(self, message: Any) -> Sound:
        """An AudioData, which has no stamp, as Sound at time 0. Errors as `sound`."""
        return self._sound(0, message.data)

    def _sound(self, stamp_ns: int, content: Any) -> Sound:
        if self._coding not in ("", "wave", "wav") or self._format not in ("", "S16LE"):
            raise MessageError(
                f"sound coded as {self._coding} {self._format}",
                todo="start audio_capture with format:=wave and sample_format:=S16LE",
            )
        data = bytes(content)
        if len(data) % 2:
            raise MessageError(f"{len(data)} bytes are not 16-bit samples")
        samples = np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        return pcm_sound(stamp_ns, self._rate_hz, self._channels, samples)


def sampled_sound(message: Any) -> Sound:
    """mgonzs13's AudioStamped as Sound. Raises MessageError where it carries no samples or ones that are not finite."""
    data = message.audio.audio_data
    info = message.audio.info
    return pcm_sound(from_stamp(message.header.stamp), int(info.rate), int(info.channels), _int16(data))


def _int16(data: Any) -> np.ndarray[Any, np.dtype[np.int16]]:
    if len(data.int16_data):
        return np.asarray(data.int16_data, dtype=np.int16)
    if len(data.float32_data):
        values = np.asarray(data.float32_data, dtype=np.float32)
        if not np.isfinite(values).all():
            raise MessageError("a sample of sound is not finite")
        return (np.clip(values, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    if len(data.int32_data):
        return (np.asarray(data.int32_data, dtype=np.int32) >> 16).astype(np.int16)
    if len(data.int8_data):
        return np.asarray(data.int8_data, dtype=np.int16) << 8
    if len(data.uint8_data):
        return (np.asarray(data.uint8_data, dtype=np.int16) - 128) << 8
    raise MessageError("a message of sound without samples")

"""The Python API: a listener that reacts to a recording, or to pictures and sound of your own.

    from reactdiff_ros import Listener

    track = Listener(style="warm").react("talk.mp4")
    track.save("talk_listener.mp4")

Everything runs in this process and needs no ROS. The same seed, settings and input give the same bits.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, NAMES
from reactdiff_ros.errors import MediaError, ReactdiffError, explained
from reactdiff_ros.recordings.replay.parameters import ReplaySettings, settings_as_live
from reactdiff_ros.recordings.replay.replay import ReplayBag, Replayed, Step, Tally, open_recording, replay
from reactdiff_ros.resources import require
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import MOST_CHANNELS, UINT8, FloatArray, Picture, Sound, SpeakerFrame
from reactdiff_ros.whole_file import write_arrays, write_whole

VIDEOS: Final = (".mp4", ".mkv", ".mov")
SOUND_HZ: Final = 16_000
PAUSE_S: Final = 10.0
"""A longer time between two steps is a new beginning; all faces between them would be computed else."""
NO_SOUND: Final = "the recording has no sound: the person is followed by sight alone"

Progress = Callable[[float], bool]
"""Takes the completed share, 0..1; returns False to stop there."""


class Listener:
    """A listener with its settings.

    Args:
        style: a shipped style or one of your own, see `reactdiff style list`.
        policy: "model" (the diffusion model), "rules", "mime", "random" or "idle".
        seed: of all noise.
        robot: the profile that says where the camera is; "screen" is the drawn face.
        parameters: any other parameter of perception_node, reaction_node or expression_node by its name
            (`smiling=0.8`, `nodding=0.2`); docs/nodes.md lists them with ranges and units.

    Raises:
        ConfigError: an unknown style, policy, robot or parameter, or a value out of range.
    """

    names: Final[tuple[str, ...]] = NAMES
    """The 58 coefficients: 52 ARKit blendshapes (0..1), head rotation (rad) and head translation (m)."""

    def __init__(
        self, style: str = "natural", policy: str = "model", *, seed: int = 0, robot: str = "screen", **parameters: Any
    ) -> None:
        given = {"style": style, "policy": policy, "seed": seed, **parameters}
        self._settings, self._values = settings_as_live(given, robot=robot)
        self._session: ListeningSession | None = None
        self._stepped_ns: int | None = None
        self._face = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)

    def react(self, path: str | Path, *, progress: Progress = lambda share: True, processes: int = 1) -> FaceTrack:
        """React to a whole recording, as fast as this machine can.

        Args:
            path: a video, a sound file or a bag.
            progress: takes the completed share.
            processes: 2 perceives in a second process, which is faster. The result is the same. A script that asks
                for it needs the guard `if __name__ == "__main__":`.

        Raises:
            MediaError: the recording cannot be opened, or nothing of it can be decoded.
            ReactdiffError: the weights of the model are missing.
        """
        path, tally = Path(path), Tally()
        kept: list[Step] = []

        def report(seconds: float) -> bool:
            return progress(min(seconds / tally.length_s, 1.0) if tally.length_s else 0.0)

        done = replay(path, self._settings, tally=tally, ahead=processes > 1, progress=report, each=kept.append)
        faces = [face for step in kept for face in step.faces]
        heard = any(frame.sound_stamp_ns is not None for step in kept for frame in step.speaker)
        return FaceTrack(
            times=np.array([face.stamp_ns for face in faces], dtype=np.float64) / NS,
            faces=np.array([face.coefficients for face in faces], dtype=np.float32).reshape(-1, COEFFICIENT_COUNT),
            complete=done.complete,
            notes=[*tally.notes(), *([] if heard else [NO_SOUND])],
            _path=path,
            _settings=self._settings,
            _values=self._values,
            _steps=kept,
            _done=done,
        )

    def step(
        self, picture: UINT8 | None, time: float, sound: NDArray[np.generic] | None = None, *, sound_hz: int = SOUND_HZ
    ) -> FloatArray:
        """Take one picture and the sound up to it, and return the face at that time.

        Args:
            picture: (height, width, 3) uint8 BGR, upright and not mirrored, as OpenCV delivers it; None: no picture.
            time: when it was taken, s, on any clock that does not go back. After more than PAUSE_S without a step the
                listener begins again, as after `reset`.
            sound: (n,) or (n, channels) samples that end at `time`: int16, or floats in -1..1; None: no sound.
            sound_hz: their rate.

        Returns:
            (58,) float32 in the order of `names`; a copy.

        Raises:
            ReactdiffError: an argument has the wrong shape or type, or the time is not finite.
        """
        now_ns = _nanoseconds(time)
        shown = None if picture is None else _checked_picture(picture)
        heard = None if sound is None else _checked_sound(sound, sound_hz)
        if self._stepped_ns is not None and now_ns - self._stepped_ns > PAUSE_S * NS:
            self.reset()
        self._stepped_ns = now_ns
        if self._session is None:
            settings = self._settings
            self._session = ListeningSession(*settings.parts(), settings.session)
            self._session.reset(settings.seed)
        if heard is not None and len(heard):
            self._session.push_sound(Sound(now_ns - len(heard) * NS // sound_hz, sound_hz, heard))
        if shown is not None:
            self._session.push_picture(Picture(now_ns, shown))
        faces = self._session.advance(now_ns)
        if faces:
            self._face = faces[-1].coefficients
        return self._face.copy()

    def reset(self) -> None:
        """Forget the person; the next `step` may begin at any time."""
        self._stepped_ns = None
        if self._session is not None:
            self._session.reset(self._settings.seed)
        self._face = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)


@dataclass(frozen=True)
class FaceTrack:
    """The listener's face over a recording: T faces, 50 a second. `track["mouthSmileLeft"]` gives one value, (T,)."""

    times: NDArray[np.float64]
    """(T,) s on the clock of the recording: from its beginning for a media file, of the stamps for a bag."""
    faces: FloatArray
    """(T, 58) in the order of `names`."""
    complete: bool
    """False: it was stopped, or the recording breaks off."""
    notes: list[str]
    """What is odd about the recording, one sentence each."""
    _path: Path = field(repr=False)
    _settings: ReplaySettings = field(repr=False)
    _values: dict[str, dict[str, Any]] = field(repr=False)
    _steps: list[Step] = field(repr=False)
    _done: Replayed = field(repr=False)

    names: Final[tuple[str, ...]] = NAMES

    def __getitem__(self, name: str) -> FloatArray:
        """One coefficient over time, (T,). Raises KeyError for a name that is not in `names`."""
        return self.faces[:, INDEX[name]]

    @property
    def speaker(self) -> list[SpeakerFrame]:
        """What was perceived of the person, picture by picture."""
        return [frame for step in self._steps for frame in step.speaker]

    def people(self) -> list[SpeakerFrame]:
        """Those of `speaker` in which a face was read. Raises MediaError if there is none."""
        found = [frame for frame in self.speaker if frame.mesh_present and frame.affect is not None]
        if not found or not len(self):
            pictures = any(frame.picture_stamp_ns is not None for frame in self.speaker)
            what = "no face was seen in the clip" if pictures else "the clip has no pictures"
            raise MediaError(what, where=str(self._path), todo="use a clip in which a face is visible")
        return found

    def __len__(self) -> int:
        return len(self.times)

    def save(
        self, path: str | Path, *, look: str = "soft", progress: Progress = lambda share: True, processes: int = 0
    ) -> Path:
        """Write the track; the name says how. An existing file is never overwritten.

        - .mp4, .mkv, .mov: a video of the person with the listener's face next to it, with the recording's sound
        - .csv: a row per face: time_s and the 58 coefficients
        - .npz: times (T,), coefficients (T, 58) and names (58,)
        - without a suffix: a rosbag2 folder (mcap) with speaker/frame, listener/reaction and listener/expression

        Args:
            path: what to write.
            look: of the face in a video; `avatar.drawing.looks` names them; or a look's file.
            progress: takes the completed share of a video.
            processes: that render a video; 0: this one alone. More need the guard `if __name__ == "__main__":`.

        Returns:
            The path.

        Raises:
            MediaError: something of that name exists, the suffix is unknown, or it cannot be written.
        """
        path = Path(path)
        kind = check_output(path)
        if kind in VIDEOS:
            self._save_video(path, look, progress, processes)
        elif not kind:
            self._save_bag(path)
        else:
            with explained(OSError, "the file cannot be written", where=path, error=MediaError):
                if kind == ".csv":
                    write_whole(path, self._csv())
                else:
                    arrays = {"times": self.times, "coefficients": self.faces, "names": np.array(self.names)}
                    write_arrays(path, arrays)
        return path

    def _save_video(self, path: Path, look: str, progress: Progress, processes: int) -> None:
        require("py_mini_racer")
        from reactdiff_ros.recordings.replay.video import write_video

        recording = open_recording(self._path, self._settings)
        write_video(path, recording, self._done.faces, look=look, processes=processes, progress=progress)

    def _save_bag(self, path: Path) -> None:
        recording = open_recording(self._path, self._settings)
        with ReplayBag(path, recording, self._settings, self._values, plans=True) as bag:
            for step in self._steps:
                bag.write(step)
            bag.describe(self._done.tally, self.complete)

    def _csv(self) -> str:
        text, kinds = io.StringIO(), ["%.3f", *["%.6g"] * COEFFICIENT_COUNT]
        header = ",".join(("time_s", *self.names))
        np.savetxt(text, np.column_stack([self.times, self.faces]), kinds, ",", header=header, comments="")
        return text.getvalue()


def check_output(path: Path) -> str:
    """The kind of file that a name asks for: its suffix in lower case, "" for a bag.

    Raises:
        MediaError: the suffix is unknown, or something of that name exists.
    """
    kind = path.suffix.lower()
    if kind not in (*VIDEOS, ".csv", ".npz", ""):
        known = ", ".join((*VIDEOS, ".csv", ".npz"))
        todo = f"use {known}, or no suffix for a bag"
        raise MediaError("this kind of file cannot be written", where=str(path), todo=todo)
    if path.exists() or path.is_symlink():
        raise MediaError("a file of this name exists already", where=str(path), todo="choose another name")
    return kind


def _nanoseconds(time: float) -> int:
    if not math.isfinite(time) or abs(time) > 1e10:
        raise ReactdiffError(
            f"the time of a step must be a number of seconds, not {time}", todo="pass seconds of one clock"
        )
    return round(time * NS)


def _checked_picture(picture: UINT8) -> UINT8:
    found = np.asarray(picture)
    if found.ndim != 3 or found.shape[2] != 3 or found.dtype != np.uint8 or not found.size:
        raise ReactdiffError(
            f"a picture must be uint8 (height, width, 3) BGR, not {found.dtype} {found.shape}",
            todo="convert it, for example with cv2.cvtColor",
        )
    return np.ascontiguousarray(found)


def _checked_sound(sound: NDArray[np.generic], rate_hz: int) -> NDArray[np.int16]:
    found = np.asarray(sound)
    if not 8_000 <= rate_hz <= 192_000:
        raise ReactdiffError(f"a sound rate of {rate_hz} Hz is not supported", todo="use 8000 to 192000 Hz")
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or not (found.dtype == np.int16 or np.issubdtype(found.dtype, np.floating)):
        raise ReactdiffError(
            f"sound must be int16 or float samples (n,) or (n, channels), not {found.dtype} {found.shape}",
            todo="convert it to int16",
        )
    if found.shape[1] > MOST_CHANNELS:
        raise ReactdiffError(
            f"sound of {found.shape[1]} channels is not supported", where=f"samples {found.shape}",
            todo="pass (n, channels); samples of (channels, n) need .T",
        )  # fmt: skip
    if found.dtype != np.int16:
        found = np.clip(np.nan_to_num(found.astype(np.float64)), -1.0, 1.0) * 32767.0
    return np.ascontiguousarray(found, dtype=np.int16)

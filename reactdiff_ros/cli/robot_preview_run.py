"""A profile that is tried while it is being written: read again when its file changes, followed tick by tick."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.follow import STALE_S, Commands, Follower
from reactdiff_ros.actuation.profile import Profile, load_profile
from reactdiff_ros.actuation.simulate import SAME_S, Frames
from reactdiff_ros.cli.robot_preview_parts import effects, parts_of, share
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, INDEX, NAMES, UPPER, bounded
from reactdiff_ros.errors import ReactdiffError

PAUSE_S: Final = 1.0
"""Between two rounds of the clip no frame comes: the joints return to neutral."""
TRY_S: Final = 2.4
"""A coefficient that is tried goes up and down in this time."""
CLIP, PAUSED = "clip", "paused"


class Preview:
    """One robot without hardware, driven by a clip or by one coefficient. Time is what `tick` makes of it.

    `generation` counts the profiles that were read: what a page knows of the joints belongs to one of them.
    """

    def __init__(self, path: Path, frames: Frames, clip: str) -> None:
        """Read the profile of `path`; `clip` is what to call the frames. Raises ProfileError or ConfigError."""
        self.path, self.clip = path, clip
        self._frames, self._start = frames, float(frames.times[0])
        self.length_s = float(frames.times[-1]) - self._start
        self.playing = CLIP
        """CLIP, PAUSED, or the coefficient that is tried."""
        self.error = ""
        self.generation = 1
        self._mark = self._state_of_file()
        self.profile = load_profile(path)
        self._follower = Follower(self.profile)
        self._ticks = self._played = self._tried = 0

    def _change_to(self, profile: Profile) -> None:
        """From neutral at rest; the clip goes on where it was."""
        played_s = self._played / self.profile.rate_hz
        self.profile = profile
        self.generation += 1
        self._played = round(played_s * profile.rate_hz)
        self._follower = Follower(profile)
        self._ticks = 0

    def restart(self) -> None:
        """From the clip's beginning, the robot at neutral and at rest."""
        self._follower = Follower(self.profile)
        self._ticks = self._played = self._tried = 0

    def play(self, what: str) -> bool:
        """Play the clip, pause, or try one coefficient; False: there is no such coefficient."""
        if what not in (CLIP, PAUSED) and what not in INDEX:
            return False
        self.playing, self._tried = what, 0
        return True

    def seek(self, share_of_clip: float) -> None:
        """Go on from there, 0 to 1 of the clip."""
        self._played = round(share_of_clip * self.length_s * self.profile.rate_hz)

    def reload(self) -> bool:
        """Read the file again if it changed. What was read before stays in use while the new content is wrong.

        Returns: whether the page must be told.
        """
        mark = self._state_of_file()
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            profile = load_profile(self.path)
        except ReactdiffError as error:
            self.error = str(error)
            return True
        self.error = ""
        self._change_to(profile)
        return True

    def _state_of_file(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    @property
    def fault(self) -> str:
        """Why the follower stopped; empty: it did not."""
        return self._follower.fault

    @property
    def position(self) -> float:
        """How much of the clip was played, 0 to 1."""
        if not self.length_s:
            return 0.0
        return min(self._played / self.profile.rate_hz % (self.length_s + PAUSE_S) / self.length_s, 1.0)

    def tick(self) -> tuple[Commands, NDArray[np.floating[Any]]]:
        """The commands of the next tick, and the face (58,) that was asked for."""
        rate = self.profile.rate_hz
        now_s = self._ticks / rate
        frame, age_s = self._tried_frame() if self.playing in INDEX else self._clip_frame()
        self._ticks += 1
        self._played += self.playing == CLIP
        self._tried += self.playing in INDEX
        if self._ticks == 1:
            wanted = self._follower.mapping.wanted(frame).tolist()
            told = self._follower.begin_at_neutral(now_s, wanted, age_s)
        else:
            told = self._follower.tick(now_s, frame.copy(), age_s)
        return told, bounded(frame)

    def _tried_frame(self) -> tuple[NDArray[np.floating[Any]], float]:
        i = INDEX[self.playing]
        phase = 2 * np.pi * self._tried / self.profile.rate_hz / TRY_S
        frame = np.zeros(COEFFICIENT_COUNT)
        # Rotations and translations have two sides: both are shown.
        frame[i] = UPPER[i] * (np.sin(phase) if i >= BLENDSHAPE_COUNT else (1 - np.cos(phase)) / 2)
        return frame, 0.0

    def _clip_frame(self) -> tuple[NDArray[np.floating[Any]], float]:
        time_s = self._played / self.profile.rate_hz % (self.length_s + PAUSE_S)
        times = self._frames.times - self._start
        newest = int(np.searchsorted(times, time_s + SAME_S, side="right")) - 1
        age_s = 0.0 if self.playing == PAUSED else max(time_s - float(times[newest]), 0.0)
        if age_s >= STALE_S:
            return np.zeros(COEFFICIENT_COUNT), age_s
        return self._frames.coefficients[newest], age_s

    def description(self) -> dict[str, Any]:
        """What a page needs to draw the robot and its mapping."""
        profile, moved, parts = self.profile, effects(self.profile), parts_of(self.profile)
        joints = []
        for name, joint in profile.joints.items():
            limits = joint.limits
            joints.append(
                {
                    "name": name, "group": joint.group, "unit": joint.unit, "neutral": joint.neutral,
                    "lower": joint.lower, "upper": joint.upper, "speed": limits.speed,
                    "acceleration": limits.acceleration, "jerk": limits.jerk, "on_fault": joint.on_fault,
                    "driver": joint.output.driver, "id": joint.output.id,
                    "sum": dict(joint.map.sum), "curve": joint.map.curve, "follow": dict(joint.map.follow),
                    "effects": {c: share(joint, d) for c, d in moved[name].items()},
                    "parts": parts[name],
                }
            )  # fmt: skip
        used = {c for effect in moved.values() for c in effect}
        return {
            "generation": self.generation, "name": profile.name, "about": profile.about, "shows": profile.shows,
            "file": str(self.path), "rate_hz": profile.rate_hz, "joints": joints,
            "signals": {n: {"sum": dict(s.sum), "curve": s.curve} for n, s in profile.signals.items()},
            "rules": [
                f"{r.joint} not beyond {r.beyond:g} towards {r.towards} for longer than {r.longest_s:g} s"
                for r in profile.rules
            ],
            "coefficients": [c for c in NAMES if c in used],
            "unused": [c for c in NAMES if c not in used],
            "clip": self.clip, "length_s": self.length_s, "playing": self.playing, "error": self.error,
        }  # fmt: skip

"""The expression engine: what every part of the face does at this tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np

from reactdiff_ros.clock import NS, to_s
from reactdiff_ros.coefficients import BLINK, HEAD_PITCH, HEAD_YAW, bounded
from reactdiff_ros.errors import MessageError
from reactdiff_ros.expression.attention import Attention, Floor, check_people
from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.gaze import Gaze, HeadTrack, check_head_pose, check_target, put_eyes
from reactdiff_ros.expression.gestures import Gestures, merge
from reactdiff_ros.expression.idle_motion import Alive, Blinks
from reactdiff_ros.expression.motion import Shaping, SpeedLimit, approach
from reactdiff_ros.expression.playback import Playback, check_reaction
from reactdiff_ros.expression.speaking import Speaking
from reactdiff_ros.styles import EXPRESSION_CONTROLS, Style, apply_control, style_book
from reactdiff_ros.types import (
    Array,
    ExpressionFrame,
    FaceMode,
    GazeTarget,
    HeadPose,
    ListenerControl,
    Mouth,
    People,
    Reaction,
    SpeechState,
    TurnSignals,
)

JUMP_NS: Final = NS // 2
SPEAKING_LAPSES_S: Final = 1.0
LOOKS_S: Final = 0.5
BACKCHANNEL_NOD: Final = 0.6
"""Strength of a nod on turn signals: feedback nods are of .6 of the size of others."""


class ExpressionEngine:
    """Makes the face of each tick from the newest plan, gaze target, gesture and style.

    A pure function of the calls, their times and the seed: it reads no clock. Ticks may come at any times; 50 a
    second are expected, and every one returns a face, with any input or none.

    Modes: "neutral" when input is dead, that is neither plan nor gaze target came for `input_timeout_s` (also before
    the first one): straight look, blinks and breath. "idle" when the newest plan says that there is no one to listen
    to: a slowly wandering look and sway. Else "listening"; also with a gaze target but no plan, when the model is
    late or dead: then gaze, blinks and breath go on alone.

    Layers, in this order, named in `ExpressionFrame.layers` when they act: reaction, speech, turn, gaze, blink,
    breathing, idle, gesture, limit (a coefficient had to be slowed down). Without own speech, turn signals and a
    second person the face is, bit for bit, that of an engine that knows nothing of them.
    """

    def __init__(
        self, config: ExpressionConfig | None = None, seed: int = 0, styles: Mapping[str, Style] | None = None
    ) -> None:
        """`styles`: named styles, default the package's and the user's own.

        Raises:
            ConfigError: the configured style is unknown or the styles cannot be read.
        """
        self._config = config or ExpressionConfig()
        self._seed = seed
        self._styles = styles if styles is not None else style_book(self._config.styles_file)
        self._style = self._start_style()
        self.rejected = 0
        """Malformed or late inputs dropped since the start."""
        self.late_plans = 0
        """Plans that came too late for their nods since the start."""
        self._limit = SpeedLimit()
        self._reaction_ns: int | None = None
        self._plan_ns: int | None = None
        self._speaking_ns: int | None = None
        self._robot_ns: int | None = None
        self._tick_ns: int | None = None
        self._newest_ns: int | None = None
        self._build()

    @property
    def style(self) -> Style:
        """The style in force."""
        return self._style

    def settings(self) -> dict[str, float | str]:
        """The effective settings by name: those that act here."""
        return self._style.settings(EXPRESSION_CONTROLS)

    def reset(self, seed: int | None = None) -> None:
        """Start again, with the same seed or another: same input, same bits. Style returns to its start values."""
        self._seed = self._seed if seed is None else seed
        self._style = self._start_style()
        self.rejected = self.late_plans = 0
        self._limit = SpeedLimit()
        self._build()

    def control(self, control: ListenerControl) -> None:
        """Change style; takes effect within half a second. NaN or "" leaves a setting.

        Raises:
            ConfigError: the style is unknown; nothing changed.
        """
        self._style = apply_control(self._style, control, self._styles)
        self._shaping.aim(self._style)

    def on_reaction(self, reaction: Reaction, now_ns: int) -> None:
        """Take in a plan; it takes over at the next tick with the part that is still due.

        One older than the last, or over already, is dropped. One that comes later than `late_s` loses its nods.

        Raises:
            MessageError: the plan is malformed; it was dropped and counted, the face goes on.
        """
        self._watch_clock(now_ns)
        with self._counted():
            check_reaction(reaction, now_ns)
        if self._plan_ns is not None and 0 < self._plan_ns - reaction.start_ns < JUMP_NS:
            self.rejected += 1
            return
        late_s = to_s(now_ns - reaction.start_ns)
        if late_s > len(reaction.coefficients) / reaction.rate_hz:
            self.late_plans += 1
            return
        self._plan_ns = reaction.start_ns
        late = late_s > self._config.late_s
        self.late_plans += late
        self._playback.push(reaction, without_nods=late)
        self._engaged, self._reaction_ns = reaction.engaged, now_ns

    def on_gaze_target(self, target: GazeTarget, now_ns: int) -> None:
        """Take in the place of the speaker's eyes; the eyes follow from the next tick on.

        Raises:
            MessageError: the target is malformed; it was dropped and counted.
        """
        self._watch_clock(now_ns)
        with self._counted():
            check_target(target)
        newest = self._gaze.used
        if newest is not None and 0 < newest.stamp_ns - target.stamp_ns < JUMP_NS:
            self.rejected += 1
            return
        if not self._attention.among:
            self._gaze.push(target, now_ns)

    def on_head_pose(self, head: HeadPose, now_ns: int, *, own: bool = True) -> None:
        """Take in where the robot's head was measured; optional, `gaze` says what for.

        `own`: the head that shows this face; False where it is one of a recording, with the camera on it.

        Raises:
            MessageError: the pose is malformed; it was dropped and counted.
        """
        self._watch_clock(now_ns)
        with self._counted():
            check_head_pose(head)
        self._head.push(head, own=own)

    def on_speaking(self, speaking: bool, now_ns: int) -> None:
        """Whether the other speaks now (repeated; lapses after 1 s): more eye contact then. Optional."""
        self._watch_clock(now_ns)
        self._speaking_ns = now_ns if speaking else None

    def on_robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """Whether the robot itself speaks (repeated; lapses after 1 s): then the voice that is heard is its own."""
        self._watch_clock(now_ns)
        self._robot_ns = now_ns if speaking else None

    def on_mouth(self, mouth: Mouth, now_ns: int) -> None:
        """Take in what the own speech does with the mouth; it acts at its time, the newest track from its start on.

        One of an utterance that was stopped, or that is over, is dropped and counted.

        Raises:
            MessageError: the track is malformed; it was dropped and counted.
        """
        self._watch_clock(now_ns)
        with self._counted():
            self.rejected += not self._speaking.push(mouth, now_ns)

    def on_speech(self, state: SpeechState, now_ns: int) -> None:
        """Take in what the own speech does: its turn, emotion and end; "stopping" and "idle" end its mouth."""
        self._watch_clock(now_ns)
        self.rejected += not self._speaking.on_state(state, now_ns)

    def on_people(self, people: People, now_ns: int) -> None:
        """Take in who is in view. Gaze is shared among two or more whose place is known, `attention` says how.

        Raises:
            MessageError: they are malformed; they were dropped and counted.
        """
        self._watch_clock(now_ns)
        with self._counted():
            check_people(people)
        self._attention.push(people, now_ns)

    def on_turn(self, signals: TurnSignals, now_ns: int) -> None:
        """Take in who has the floor; lapses after 0.5 s."""
        self._watch_clock(now_ns)
        self.rejected += not self._floor.push(signals, now_ns)

    def on_gesture(self, name: str, now_ns: int, strength: float = 1.0) -> None:
        """Start a named gesture (`gestures.GESTURES`), `strength` times its ordinary size (0 to 2).

        Raises:
            ConfigError: the name is unknown, or the strength out of range.
        """
        self._watch_clock(now_ns)
        self._gestures.start(name, now_ns, strength)

    def tick(self, now_ns: int) -> ExpressionFrame:
        """The face for `now_ns`: finite, within bounds, no coefficient faster than `motion.MAX_SPEED`.

        While the own speech has the mouth, than SPEAKING_SPEED.
        """
        self._watch_clock(now_ns)
        dt_s = 0.02 if self._tick_ns is None else min(max(to_s(now_ns - self._tick_ns), 0.0), 0.1)
        self._tick_ns = now_ns
        mode = self._mode(now_ns)
        plan = self._playback.advance(now_ns)
        reaction = self._playback.reaction
        self._presence += approach(dt_s, 0.25) * ((1.0 if self._engaged else 0.0) - self._presence)
        speech = self._speaking.advance(now_ns, dt_s, flagged=self._flagged(now_ns))
        turn = self._floor.advance(now_ns, dt_s, plan, speaks=self._speaking.speaks)
        if self._floor.nod and not self._gestures.active:
            self._gestures.start("nod", now_ns, BACKCHANNEL_NOD)
        gesture = self._gestures.advance(now_ns)
        planned_blink = float(plan[BLINK[0]])
        face = self._shaping.apply(plan * (self._presence * self._gestures.keep), dt_s, present=mode == "listening")
        layers = ["reaction"] if reaction is not None else []
        if gesture is not None:
            face = merge(face, gesture * min(self._style.intensity, 1.5))
        if speech:
            face = self._speaking.add(face, now_ns, self._style)
            layers.append("speech")
        if turn:
            self._floor.add(face, self._style.upper_face)
            layers.append("turn")
        self._look(now_ns, dt_s, mode)
        pitch, yaw = self._gaze.head()
        face[HEAD_PITCH] += pitch
        face[HEAD_YAW] += yaw
        if mode != "neutral" or self._gaze.used is not None:
            layers.append("gaze")
        shifted = self._gaze.shifted or self._attention.changed
        blink = self._blinks.advance(
            now_ns, gaze_shifted=shifted, planned=planned_blink, phrase_ended=self._speaking.phrase_ended
        )
        if blink > 0.0:
            layers.append("blink")
        layers += self._alive.add(face, dt_s, mode, self._style.stillness)
        face = bounded(face).astype(np.float64)
        put_eyes(face, self._gaze.lines(), self._config, self._gaze.head_lag(face, dt_s))
        face[BLINK[0]], face[BLINK[1]] = max(face[BLINK[0]], blink), max(face[BLINK[1]], blink)
        if gesture is not None:
            layers.append("gesture")
        return self._show(face, dt_s, now_ns, mode, layers, reaction)

    def _show(
        self, face: Array, dt_s: float, now_ns: int, mode: FaceMode, layers: list[str], reaction: Reaction | None
    ) -> ExpressionFrame:
        if self._limit.follow(bounded(face).astype(np.float64), dt_s, speaking=self._speaking.moves_mouth):
            layers.append("limit")
        self._head.show(now_ns, self._limit.values, dt_s)
        target, signals = self._gaze.used, self._floor.signals
        pictures = [target.stamp_ns] if target is not None else []
        sounds = []
        for source in (reaction, signals):
            if source is not None and source.picture_stamp_ns is not None:
                pictures.append(source.picture_stamp_ns)
            if source is not None and source.sound_stamp_ns is not None:
                sounds.append(source.sound_stamp_ns)
        return ExpressionFrame(
            stamp_ns=now_ns,
            coefficients=bounded(self._limit.values),
            mode=mode,
            layers=tuple(layers),
            picture_stamp_ns=max(pictures, default=None),
            sound_stamp_ns=max(sounds, default=None),
            reaction_picture_stamp_ns=reaction.picture_stamp_ns if reaction is not None else None,
            reaction_sound_stamp_ns=reaction.sound_stamp_ns if reaction is not None else None,
        )

    def _mode(self, now_ns: int) -> FaceMode:
        timeout = self._config.input_timeout_s
        planned = self._reaction_ns is not None and to_s(now_ns - self._reaction_ns) <= timeout
        if planned:
            return "listening" if self._engaged else "idle"
        return "listening" if self._gaze.fresh(now_ns) else "neutral"

    def _look(self, now_ns: int, dt_s: float, mode: FaceMode) -> None:
        """Eyes and head go on to `now_ns`: at whom, and whether at them."""
        speaks, cue = self._speaking.speaks, self._speaking.cue
        target = self._attention.advance(now_ns, speaks=speaks)
        if target is not None:
            self._gaze.push(target, now_ns)
        if self._floor.looks:
            cue = (False, LOOKS_S)
        self._gaze.advance(
            now_ns, dt_s, mode, other_speaks=not speaks and self._other_speaks(now_ns), speaks=speaks, cue=cue
        )

    def _flagged(self, now_ns: int) -> bool:
        """robot_speaking holds."""
        return self._robot_ns is not None and to_s(now_ns - self._robot_ns) <= SPEAKING_LAPSES_S

    def _other_speaks(self, now_ns: int) -> bool:
        return self._speaking_ns is not None and to_s(now_ns - self._speaking_ns) <= SPEAKING_LAPSES_S

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Malformed input is dropped, counted and raised to the caller."""
        try:
            yield
        except MessageError:
            self.rejected += 1
            raise

    def _watch_clock(self, now_ns: int) -> None:
        """A clock that jumped back by more than half a second is a new time line: forget plans, keep the face."""
        if self._newest_ns is not None and now_ns < self._newest_ns - JUMP_NS:
            for layer in (
                *(self._playback, self._gaze, self._blinks, self._gestures, self._head),
                *(self._speaking, self._attention, self._floor),
            ):
                layer.clear()
            self._reaction_ns = self._plan_ns = self._speaking_ns = self._robot_ns = self._tick_ns = None
            self._newest_ns = now_ns
        self._newest_ns = now_ns if self._newest_ns is None else max(self._newest_ns, now_ns)

    def _start_style(self) -> Style:
        config = self._config
        given = {name: getattr(config, name) for name in EXPRESSION_CONTROLS}
        return apply_control(Style(), ListenerControl(style=config.style, **given), self._styles)

    def _build(self) -> None:
        gaze, blink, alive, speaking, attention = np.random.default_rng(self._seed).spawn(5)
        self._playback = Playback(self._config)
        self._head = HeadTrack()
        self._gaze = Gaze(self._config, gaze, self._head)
        self._blinks = Blinks(self._config, blink)
        self._alive = Alive(self._config, alive)
        self._gestures = Gestures()
        self._speaking = Speaking(speaking, self._config.mouth_lead_s)
        self._attention, self._floor = Attention(attention), Floor(self._config)
        self._shaping = Shaping(self._style)
        self._presence, self._engaged = 0.0, True
        self._reaction_ns = self._plan_ns = self._tick_ns = self._newest_ns = None
        self._speaking_ns = self._robot_ns = None

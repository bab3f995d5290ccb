"""Simulated speakers: what people do who talk to a robot, before any camera or microphone.

`make_speakers` draws worlds from a seed; `stimulus_of` says what of it a listener can know at each frame. Times,
rates and shares follow human_reference (see docs/simulator.md for each constant and where it comes from).

Precursors come 0.3 to 0.9 s before: cheeks rise and the voice brightens before most smiles, an in-breath lifts the
head and parts the lips before a turn, the gaze returns and the pitch falls before a cue or a yield; each also comes
now and then without what it announces. `precursors=False` leaves them out; every other number stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from . import behaviour
from .behaviour import CUE_S, LOW_S, SLOW, Talk
from .emotions import ANSWERED, HESITATION_S, Episodes, draw_episodes, insert_ambivalence
from .motion import BoolArray, Events, IntArray, Seed, cover, envelope, low_pass, since, single
from .resampled import Recorded, take_over
from .stimulus import Stimulus

InsertionKind = Literal[
    "smile", "flat_smile", "ambivalent", "cue", "head_shift", "landmark_noise", "lost_frame", "light"
]
SPOKEN_FRAMES: Final = 30
"""For as long do speakers go on who smile with a flat voice."""
SPOKE_S: Final = 1.5
"""Ambivalence is known of those who spoke so short a time ago: it is in voice and gaze."""
PLACEBOS: Final = ("head_shift", "landmark_noise", "lost_frame", "light")


@dataclass(frozen=True, slots=True)
class Insertion:
    """An extra event at a frame of every world, for trials in pairs; nothing before that frame changes.

    "smile": onset 0.55 s, apex 1.2 s, offset 0.8 s, no precursor, the voice goes along with it. "flat_smile": the same
    while the speaker goes on talking, and the voice does not go along with it. "ambivalent": a speaker who goes on
    talking falters and looks away, and smiles HESITATION_S later, for as long. "cue": low pitch and a returned gaze, in
    worlds where the speaker has been talking for 0.7 s and goes on. The others happen in `observe`: "head_shift" (the
    head moves to another place), "landmark_noise" (jittery landmarks for 0.4 s), "lost_frame" (no landmarks for 80 ms),
    "light" (readings shift, as when a lamp goes on).
    """

    kind: InsertionKind
    frame: int
    amplitude: float = 0.7


@dataclass(slots=True)
class Speakers:
    """The truth about B speakers over T frames; (B, T) where not said otherwise."""

    kind: IntArray
    """(B,)"""
    lively: FloatArray
    """(B,) about 1: how much happens in this person's face."""
    present: BoolArray
    talk: Talk
    speech: BoolArray
    smiles: Events
    sincere: BoolArray
    """(B, N) of each smile: the voice goes along with it."""
    smile: FloatArray
    cheek: FloatArray
    """Cheek raise that announces a smile (a smile's own is not in it)."""
    brighten: FloatArray
    """0..1: a smile is announced, by cheeks, and by the voice where it goes along."""
    flat: BoolArray
    """A smile that the voice does not go along with."""
    bright: BoolArray
    """The voice is bright (whether or not anybody speaks)."""
    low_pitch: FloatArray
    """0..1: pitch falls within a phrase."""
    burst: BoolArray
    """Bursts of voice: laughing or coughing."""
    laughing: BoolArray
    hush: BoolArray
    """Silent amusement: looks like laughing, and the voice is still."""
    shake: FloatArray
    """0..1: jaw and head shake as in laughing, coughing and silent amusement."""
    brow_up: FloatArray
    frown: FloatArray
    sad: FloatArray
    doubt: FloatArray
    nod: FloatArray
    """0..1: the speaker nods."""
    breath: FloatArray
    """0..1: in-breath."""
    blink: FloatArray
    head: FloatArray
    """(B, T, 3) rad: pitch, yaw, roll."""
    contact: BoolArray
    wander: FloatArray
    """(B, T, 2) unit variance: where the eyes go."""
    cue: BoolArray
    """A backchannel cue is open."""
    took: BoolArray
    """(B,) the insertion could take effect."""
    episodes: Episodes
    insertion: Insertion | None = None

    def take(self, rows: IntArray) -> Speakers:
        """The given worlds."""
        taken: Speakers = _take(self, rows)
        return taken


def _take(value: Any, rows: IntArray) -> Any:
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Speakers | Events | Talk | Episodes):
        return type(value)(**{f.name: _take(getattr(value, f.name), rows) for f in fields(value)})
    return value


def make_speakers(
    seed: Seed,
    worlds: int,
    frames: int,
    *,
    precursors: bool = True,
    insertion: Insertion | None = None,
    emotions: float = 0.0,
    ambivalence: float = 0.0,
    recorded: Recorded | None = None,
) -> Speakers:
    """B different speakers over `frames` frames of 25 Hz.

    Args:
        seed: same seed, same bits.
        worlds: B.
        frames: T.
        precursors: False leaves out what announces smiles, turns and cues; all else is bit-equal.
        insertion: an extra event; all else is bit-equal before its frame.
        emotions: share of the worlds that have emotional episodes; the others are bit-equal.
        ambivalence: share of these others that have episodes of ambivalence.
        recorded: people whose smiles and glances a share of the speakers gets; the others are the same without.

    Raises:
        ValueError: the insertion's frame lies outside.
    """
    if insertion is not None and not 0 <= insertion.frame < frames:
        raise ValueError(f"an insertion at frame {insertion.frame} of {frames}")
    people = behaviour.draw_people(seed, worlds, frames)
    episodes = draw_episodes(seed, emotions, ambivalence, worlds, frames)
    ambivalent = insertion is not None and insertion.kind == "ambivalent"
    if insertion is not None and ambivalent:
        episodes = insert_ambivalence(episodes, insertion.frame, insertion.amplitude)
    calm, quiet = 1 - episodes.level, episodes.level < 0.2
    talks = people.kind <= SLOW
    talk = behaviour.make_talk(seed, talks, people.kind == SLOW, frames, precursors=precursors)
    present = behaviour.make_present(seed, worlds, frames)
    smiles, sincere, bursts, amused = behaviour.make_smiles(seed, people, frames)
    extra, flatly = _inserted_smile(insertion, worlds), insertion is not None and insertion.kind == "flat_smile"
    base, looks = envelope(smiles, frames), None
    if recorded is not None:
        rows, curve, looking = recorded.draw(seed, worlds, frames)
        smiles, bursts, base = take_over(smiles, bursts, base, rows, curve)
        looks = rows, looking
    smile = np.maximum(base, envelope(extra, frames)) if extra is not None else base
    bouts = behaviour.make_bursts(seed, smiles, bursts, amused, base, frames)
    cheek, brighten, voiced = behaviour.announce(seed, people, smiles, sincere, frames, precursors)
    phrases = behaviour.spoken(talk, frames)
    inside, cue_forced, low = _inserted_cue(insertion, phrases)
    waves = behaviour.make_waves(seed, worlds, frames)
    contact = behaviour.gaze_contact(seed, talk, waves[..., 0], phrases, cue_forced, looks) & ~episodes.averted
    swell = 1 + 0.12 * waves[..., 3]
    flat = cover(smiles.start, smiles.over, smiles.on & ~sincere, frames)
    glad = cover(smiles.start, smiles.over, smiles.on & sincere, frames)
    if extra is not None:
        within = cover(extra.start, extra.over, extra.on, frames)
        flat, glad = (flat | within, glad) if flatly else (flat & ~within, glad | within)
    lively = cover(talk.start, talk.end, talk.on & talk.lively, frames)
    parts = {name: calm * part for name, part in behaviour.upper_face(seed, people, frames).items()}
    parts["doubt"] = np.maximum(parts["doubt"], episodes.of("doubt"))
    nod, nodding = behaviour.make_nods(seed, worlds, frames)
    breath = behaviour.make_breath(seed, talk, frames, precursors)
    spoken_cue = cover(np.nan_to_num(talk.cue, nan=-1e6), np.nan_to_num(talk.cue, nan=-1e6) + CUE_S, talk.cues, frames)
    head = behaviour.make_head(
        seed, waves, low_pass(phrases, 0.3), nod, nodding, breath, calm * bouts.shake, parts["doubt"], people.lively
    )
    head[..., 0] += episodes.level * episodes.along("bow_rad")
    bright = np.where(quiet, (lively | glad | voiced) & ~flat, episodes.along("lively") > 0)
    took = np.ones(worlds, bool)
    if insertion is not None:
        f = insertion.frame
        took = present[:, f] & (inside if insertion.kind == "cue" else np.ones(worlds, bool))
        smiles_at = f + round(HESITATION_S / FRAME_S) if ambivalent else f
        if extra is not None or ambivalent:
            took &= (base[:, f : smiles_at + 1] < 0.1).all(axis=1) & quiet[:, f]
        if flatly or ambivalent:
            took &= phrases[:, f : smiles_at + SPOKEN_FRAMES].all(axis=1)
    return Speakers(
        kind=people.kind, lively=people.lively, present=present, talk=talk,
        speech=phrases & present & ~bouts.burst & ~bouts.hush & ~episodes.halts,
        smiles=smiles, sincere=sincere, smile=calm * np.clip(smile * swell, 0, 1), cheek=calm * cheek,
        brighten=calm * brighten, flat=flat & quiet, bright=bright,
        low_pitch=np.maximum(behaviour.low_pitch(talk, frames), low), burst=bouts.burst & present & quiet,
        laughing=bouts.laughing & present & quiet, hush=bouts.hush & quiet, shake=calm * bouts.shake,
        **parts, nod=nodding, breath=breath,
        blink=behaviour.make_blinks(seed, worlds, frames), head=head, contact=contact, wander=waves[..., 1:3],
        cue=(spoken_cue | _late(low > 0)) & present, took=took, episodes=episodes,
        insertion=insertion,
    )  # fmt: skip


def stimulus_of(speakers: Speakers, camera: BoolArray | None = None, microphone: BoolArray | None = None) -> Stimulus:
    """What a listener can know of these speakers, exactly.

    Args:
        speakers: B speakers over T frames.
        camera: (B, T) there is a camera; None = always. Without it nothing of the face is known.
        microphone: (B, T) there is a microphone; None = always. Without it nothing of the voice is known.
    """
    s = speakers
    frames = s.speech.shape[1]
    everywhere = np.ones_like(s.present)
    seen = s.present & (everywhere if camera is None else camera)
    heard = everywhere if microphone is None else microphone
    talk = s.talk
    ended = np.clip(1.0 - since(_ends(talk, frames)), 0.0, 1.0) * (seen | heard) * s.present
    pause = ~s.speech & ~s.burst
    emotion = s.episodes.of
    spoke = since(s.speech) < SPOKE_S
    insincere = low_pass(s.flat & s.speech & heard & (s.smile > 0.08), 0.25)
    both = seen & heard

    def known(value: NDArray[Any], where: BoolArray) -> FloatArray:
        return (value * where).astype(np.float32)

    return Stimulus(
        seen=seen.astype(np.float32), heard=heard.astype(np.float32), speech=known(s.speech, seen | heard),
        smile=known(np.maximum(s.smile, s.episodes.smile), seen), brighten=known(s.brighten, seen),
        sincerity=(1.0 - insincere * seen),
        laugh=low_pass(s.laughing & both, 0.12), nod=known(s.nod, seen), contact=known(s.contact, seen),
        brow_up=known(np.maximum(s.brow_up, emotion("surprise")), seen), doubt=known(s.doubt, seen),
        frown=known(np.maximum(s.frown, emotion("angry")), seen), sad=known(np.maximum(s.sad, emotion("sad")), seen),
        cue=known(s.cue & s.speech, both), phrase_end=ended.astype(np.float32),
        held=known(cover(talk.end, talk.resume, talk.on & ~talk.yields, frames) & pause & s.present, seen | heard),
        **{
            name: known(emotion(*kinds), seen if name != "ambivalence" else both & spoke)
            for name, kinds in ANSWERED.items()
        },
    )  # fmt: skip


def _ends(talk: Talk, frames: int) -> BoolArray:
    """The first frame after each phrase of at least 0.7 s."""
    return cover(talk.end, talk.end + FRAME_S, talk.on & (talk.end - talk.start >= 0.7), frames)


def _late(low: BoolArray) -> BoolArray:
    """A low pitch is a cue once it has lasted LOW_S."""
    out = np.zeros_like(low)
    late = round(LOW_S / FRAME_S)
    out[:, late:] = low[:, late:] & low[:, :-late]
    return out


def _inserted_smile(insertion: Insertion | None, worlds: int) -> Events | None:
    if insertion is None or insertion.kind not in ("smile", "flat_smile"):
        return None
    return single(np.ones((worlds, 1), bool), insertion.frame, insertion.amplitude, 0.55, 1.2, 0.8)


def _inserted_cue(insertion: Insertion | None, phrases: BoolArray) -> tuple[BoolArray, BoolArray, FloatArray]:
    """Worlds that take the cue (B,), where the gaze is called back, and low pitch."""
    gaze, low = np.zeros_like(phrases), np.zeros(phrases.shape, dtype=np.float32)
    inside = np.zeros(len(phrases), bool)
    if insertion is not None and insertion.kind == "cue":
        f = insertion.frame
        # How long the phrase still lasts may be asked: the trial is made by an experimenter who knows.
        inside = phrases[:, max(f - 18, 0) : f + 10].all(axis=1) & (f >= 18)
        gaze[:, f : f + 20] = inside[:, None]
        low[:, f : f + round((LOW_S + CUE_S) / FRAME_S)] = inside[:, None]
    return inside, gaze, low

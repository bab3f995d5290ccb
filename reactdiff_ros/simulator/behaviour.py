"""What simulated speakers do: phrases and gaze, smiles, laughs, brows, nods, breath, blinks, head motion, presence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .motion import (
    SLOW_S,
    WARM_S,
    BoolArray,
    Events,
    IntArray,
    Range,
    Seed,
    capacity,
    cover,
    envelope,
    generator,
    log_normal,
    low_pass,
    ornstein,
    paint,
    renewal,
    slow_steps,
    smooth_step,
    spread_events,
    steady,
    uniform,
)

PART: Final = 1
CUE_S: Final = 0.24
"""How long a backchannel cue is an occasion to answer (chosen)."""
LOW_S: Final = 0.16
"""Low pitch that makes a cue: at least 110 ms (Ward and Tsukahara 2000, recalled)."""
LEAD_S: Final = (0.3, 0.9)
"""How long before the cue its precursor begins (the simulator's definition)."""

LAUGH_SIZE: Final = 0.55
LAUGH_EDGES_S: Final = 0.8
"""Smiles that laugh are at least as large, and by so much longer than the bout (chosen)."""

# (falling pitch, gaze returns) of held pauses, and their shares (chosen: each sign alone says little).
_HELD_SIGNS: Final = np.array([[True, False], [False, True], [False, False]])
_HELD_SHARES: Final = (0.4, 0.3, 0.3)


@dataclass(slots=True)
class Talk:
    """Up to N phrases a world in order of time; every field is (B, N), times in seconds."""

    on: BoolArray
    start: FloatArray
    end: FloatArray
    resume: FloatArray
    """When the pause after it is over."""
    opens: BoolArray
    """It begins a turn."""
    yields: BoolArray
    falling: BoolArray
    """Pitch falls at its end; else it stays level."""
    returns: BoolArray
    """The gaze returns to the listener at its end."""
    lively: BoolArray
    """Spoken in a bright voice."""
    lead: FloatArray
    """How long before its end gaze returns, 0 = with it."""
    cue: FloatArray
    """A moment of low pitch or returned gaze within it; NaN: none."""
    cue_low: BoolArray
    cue_gaze: BoolArray
    cue_lead: FloatArray

    @property
    def cues(self) -> BoolArray:
        """Where `cue` is a real backchannel cue."""
        return np.asarray(self.on & self.cue_low & self.cue_gaze & np.isfinite(self.cue))


def make_talk(seed: Seed, talks: BoolArray, slow: BoolArray, frames: int, *, precursors: bool) -> Talk:
    """The phrases of B speakers, of whom some talk at all and some talk slowly, (B,) each."""
    rng = generator(seed, PART)
    worlds = len(talks)
    shape = (worlds, capacity(40.0, frames))
    # Phrase and pause medians: chosen so that turns last 2 / 4 / 9 s (quartiles; EgoCom, human_reference.md).
    phrase = log_normal(rng, np.where(slow, 1.3, 1.8)[:, None], 0.25, (worlds, 1))
    pause = log_normal(rng, np.where(slow, 1.6, 0.5)[:, None], 0.3, (worlds, 1))
    silence = log_normal(rng, 2.2, 0.4, (worlds, 1))
    yielding = uniform(rng, 0.12, 0.5, (worlds, 1))
    length = np.clip(log_normal(rng, phrase, 0.55, shape), 0.35, 9.0)
    yields = rng.random(shape, dtype=np.float32) < yielding
    held = np.clip(log_normal(rng, pause, 0.5, shape), 0.2, 6.0)
    other = np.clip(log_normal(rng, silence, 0.6, shape), 0.5, 12.0)
    gap = np.where(yields, other, held)
    resume = np.cumsum(length + gap, axis=1) - WARM_S - rng.random((worlds, 1), dtype=np.float32) * 4.0
    end = resume - gap
    signs = _HELD_SIGNS[rng.choice(3, shape, p=_HELD_SHARES)] | yields[..., None]
    lively = rng.random(shape, dtype=np.float32) < uniform(rng, 0.05, 0.5, (worlds, 1))
    early = rng.random(shape, dtype=np.float32) < 0.85
    lead = uniform(rng, *LEAD_S, shape) * early * precursors
    return Talk(
        on=np.broadcast_to(talks[:, None], shape).copy(), start=(end - length).astype(np.float32),
        end=end.astype(np.float32), resume=resume.astype(np.float32),
        opens=np.concatenate([np.zeros((worlds, 1), bool), yields[:, :-1]], axis=1),
        yields=yields, falling=signs[..., 0], returns=signs[..., 1], lively=lively, lead=lead,
        **_cues(rng, end - length, end, precursors),
    )  # fmt: skip


def _cues(rng: np.random.Generator, start: FloatArray, end: FloatArray, precursors: bool) -> dict[str, Any]:
    """The cues of a `Talk`: moments in phrases, after 0.9 s of speech at the soonest (Ward and Tsukahara: 0.7 s)."""
    cue = start + uniform(rng, 0.9, 3.0, start.shape)
    cue = np.where((cue < end - 0.5) & (rng.random(start.shape, dtype=np.float32) < 0.9), cue, np.nan)
    kind = rng.random(start.shape, dtype=np.float32)
    early = rng.random(start.shape, dtype=np.float32) < 0.85
    lead = uniform(rng, *LEAD_S, start.shape) * early * precursors
    gaze = (kind < 0.5) | (kind >= 0.75)
    return {"cue": cue.astype(np.float32), "cue_low": kind < 0.75, "cue_gaze": gaze, "cue_lead": lead}


def spoken(talk: Talk, frames: int) -> BoolArray:
    """(B, T) whether the speaker is in a phrase."""
    return cover(talk.start, talk.end, talk.on, frames)


def gaze_contact(
    seed: Seed, talk: Talk, wander: FloatArray, speech: BoolArray, extra: BoolArray,
    recorded: tuple[BoolArray, BoolArray] | None = None,
) -> BoolArray:  # fmt: skip
    """(B, T) whether the speaker looks at the listener.

    At the listener 40 to 50 % of the time while speaking and about 80 % in silence, very different between people;
    most turns begin looking away and end looking at the listener (human_reference.md).

    Args:
        seed: of the world.
        talk: phrases.
        wander: (B, T) unit-variance noise whose level makes glances.
        speech: (B, T).
        extra: (B, T) where the gaze is on the listener in any case.
        recorded: (B,) whose glances are recorded ones, and these, (B, T).
    """
    rng = generator(seed, PART + 100)
    worlds, frames = speech.shape
    speaking = 0.35 + 0.35 * rng.standard_normal((worlds, 1), dtype=np.float32)
    silent = -1.15 + 0.35 * rng.standard_normal((worlds, 1), dtype=np.float32)
    looks = wander > np.where(speech, speaking, silent)
    if recorded is not None:
        looks = np.where(recorded[0][:, None], recorded[1], looks)
    shy = rng.random(talk.start.shape, dtype=np.float32) < 0.75
    avert = uniform(rng, 0.5, 1.5, talk.start.shape)
    moment = np.nan_to_num(talk.cue, nan=-1e6)
    away = (
        cover(talk.end - 0.1, talk.resume + 0.1, talk.on & ~talk.returns, frames)
        | cover(talk.start - 0.25, talk.start + avert, talk.on & talk.opens & shy, frames)
        | cover(moment - 0.2, moment + 0.3, talk.on & talk.cue_low & ~talk.cue_gaze, frames)
    )
    until = np.minimum(talk.resume - 0.3, talk.end + np.where(talk.yields, 1.2, 0.8))
    back = (
        cover(talk.end - talk.lead, until, talk.on & talk.returns, frames)
        | cover(moment - talk.cue_lead, moment + 0.5, talk.on & talk.cue_gaze & np.isfinite(talk.cue), frames)
        | extra
    )
    return np.asarray((looks & ~away) | back)


TALKER, SLOW, QUIET, NOISY = range(4)
"""Kinds of worlds: who talks; who talks slowly; who is silent; who is silent while something else makes noise."""
_KIND_SHARES: Final = (0.6, 0.15, 0.15, 0.1)

_PEOPLE, _SMILES, _LAUGHS, _ALARMS, _FACE, _NODS, _HEAD, _PRESENCE, _BREATH, _BLINK = range(2, 12)


@dataclass(slots=True)
class People:
    """What differs between people, (B,) each; mood (B, K, 2): valence and arousal in steps of SLOW_S."""

    kind: IntArray
    lively: FloatArray
    smiles_per_minute: FloatArray
    smile_s: FloatArray
    smile_size: FloatArray
    insincere: FloatArray
    laughs_per_minute: FloatArray
    mood: FloatArray


def draw_people(seed: Seed, worlds: int, frames: int) -> People:
    """B people, very different from each other."""
    rng = generator(seed, _PEOPLE)
    kind = rng.choice(4, worlds, p=_KIND_SHARES)
    shape = (worlds,)
    still = rng.random(worlds) < 0.1
    lively = np.where(still, 0.15, log_normal(rng, 1.0, 0.35, shape)).astype(np.float32)
    # 8.4 a minute in calls (3.7 to 12.7, 10th to 90th percentile), 3.2 in video chat: between the two, and wide.
    rate = np.where(still, 0.4, np.clip(log_normal(rng, 7.5, 0.45, shape), 2.8, 16.0))
    length = log_normal(rng, 1.4, 0.3, shape) * np.where(rng.random(worlds) < 0.1, 2.0, 1.0)
    return People(
        kind=kind, lively=lively, smiles_per_minute=rate.astype(np.float32), smile_s=length.astype(np.float32),
        smile_size=np.clip(log_normal(rng, 0.45, 0.3, shape), 0.2, 0.9),
        insincere=uniform(rng, 0.1, 0.5, shape),
        laughs_per_minute=(log_normal(rng, 1.4, 0.5, shape) * np.minimum(lively, 1.5)).astype(np.float32),
        mood=ornstein(rng, worlds, slow_steps(frames), (5.0, 8.0), SLOW_S),
    )  # fmt: skip


def make_smiles(seed: Seed, p: People, frames: int) -> tuple[Events, BoolArray, FloatArray, BoolArray]:
    """Smiles, which of them are sincere, for how long they laugh (B, N) s, and which are silent amusement."""
    rng = generator(seed, _SMILES)
    worlds = len(p.kind)
    shape = (worlds, capacity(24.0, frames))
    length = np.clip(log_normal(rng, p.smile_s[:, None], 1.1, shape), 0.4, 20.0)
    rise = uniform(rng, 0.4, 0.75, shape)
    fall = uniform(rng, 0.5, 1.4, shape) * np.clip(length / 1.5, 0.6, 1.0)
    chance = np.clip(p.laughs_per_minute / p.smiles_per_minute, 0.0, 0.35)[:, None]
    funny = rng.random(shape, dtype=np.float32)
    laughing, amused = funny < chance, (funny >= chance) & (funny < 1.6 * chance)
    bout = np.clip(log_normal(rng, 0.9, 0.45, shape), 0.4, 3.0)
    jolly = laughing | amused
    length = np.where(jolly, np.maximum(length, bout + LAUGH_EDGES_S), length)
    size = p.smile_size[:, None] * log_normal(rng, 1.0, 0.3, shape) * (length / 1.8) ** 0.12
    size = np.where(jolly, np.maximum(size, uniform(rng, LAUGH_SIZE, 0.9, shape)), size)
    hold = np.maximum(length - 0.6 * (rise + fall), 0.04)
    cycle = 60.0 / p.smiles_per_minute
    busy = p.smile_s * 1.85 + 0.7
    rate = np.exp(0.8 * p.mood[..., 0] - 0.32) / np.maximum(cycle - busy, 1.0)[:, None]
    start = renewal(rng, rate, rise + hold + fall, 0.3)
    sincere = (rng.random(shape, dtype=np.float32) > p.insincere[:, None]) | laughing
    size, hold = np.clip(size, 0.12, 1.0).astype(np.float32), hold.astype(np.float32)
    events = Events(start, size, rise, hold, fall, start < 1e8)
    return events, sincere, np.where(jolly, bout, 0.0).astype(np.float32), amused


@dataclass(slots=True)
class Bouts:
    """(B, T) each: bursts of voice, which of them are laughs, amusement without voice, and how jaw and head shake."""

    burst: BoolArray
    laughing: BoolArray
    hush: BoolArray
    shake: FloatArray


def make_bursts(
    seed: Seed, smiles: Events, bout: FloatArray, amused: BoolArray, smile: FloatArray, frames: int
) -> Bouts:
    """Laughs, coughs and silent amusement, from smiles (B, N) that last `bout` seconds or do not laugh at all (0)."""
    rng = generator(seed, _LAUGHS)
    worlds = len(smile)
    start = smiles.start + 0.25
    jolly = smiles.on & (bout > 0)
    laughing = cover(start, start + bout, jolly & ~amused, frames)
    # Coughs: chosen, so that bursts without a smile are about as common as with one.
    rate = log_normal(rng, 1.1, 0.5, (worlds,)) * (rng.random(worlds) < 0.7)
    last = np.clip(log_normal(rng, 0.9, 0.45, (worlds, capacity(4.0, frames))), 0.4, 2.0)
    cough = renewal(rng, steady(rate / 60.0, frames), last, 2.0)
    smiling = np.concatenate([np.zeros((worlds, 1), np.int64), np.cumsum(smile > 0.05, axis=1)], axis=1)

    def count(time: FloatArray) -> IntArray:
        at = np.clip(time / FRAME_S, 0, frames).astype(np.int64)
        counted: IntArray = np.take_along_axis(smiling, at, axis=1)
        return counted

    alone = (cough < 1e8) & (count(cough + last + 0.3) == count(cough - 0.3))
    coughing = cover(cough, cough + last, alone, frames)
    shake = np.zeros_like(smile)
    for first, long, on in ((start, bout, jolly), (cough, last, alone)):
        paint(shake, first, first + long + 0.2, on, _plateau, long)
    hush = cover(start - 0.1, start + bout + 0.2, jolly & amused, frames)
    return Bouts(burst=laughing | coughing, laughing=laughing, hush=hush & ~laughing & ~coughing, shake=shake)


def _plateau(t: FloatArray, length: FloatArray) -> FloatArray:
    return smooth_step(t / 0.12) * (1 - smooth_step((t - length) / 0.2))


def announce(
    seed: Seed, p: People, smiles: Events, sincere: BoolArray, frames: int, precursors: bool
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Cheek raise before smiles, how much a smile is announced, and where the voice brightens for it."""
    rng = generator(seed, _ALARMS)
    worlds, count = smiles.start.shape
    lead = uniform(rng, *LEAD_S, (worlds, count))
    size = uniform(rng, 0.15, 0.4, (worlds, count))
    on = smiles.on & (rng.random((worlds, count), dtype=np.float32) < 0.8) & precursors
    false = capacity(5.0, frames)
    false_lead = uniform(rng, *LEAD_S, (worlds, false))
    false_size = uniform(rng, 0.15, 0.4, (worlds, false))
    false_start = renewal(rng, steady(0.3 * p.smiles_per_minute / 60.0, frames), false_lead + 0.6, 1.5)
    false_on = (false_start < 1e8) & precursors
    cheek, brighten = np.zeros((2, worlds, frames), dtype=np.float32)
    for start, long, level, whole, exists in (
        (smiles.start - lead, lead, size, np.where(sincere, 1.0, 0.6), on),
        (false_start, false_lead, false_size, np.ones_like(false_lead), false_on),
    ):
        paint(cheek, start, start + long + 0.6, exists, _swelling, long, level)
        paint(brighten, start, start + long + 0.6, exists, _swelling, long, whole.astype(np.float32))
    voiced = cover(smiles.start - lead, smiles.start, on & sincere, frames)
    return cheek, brighten, voiced | cover(false_start, false_start + false_lead + 0.2, false_on, frames)


def _swelling(t: FloatArray, lead: FloatArray, level: FloatArray) -> FloatArray:
    """Rises within the first 0.25 s, stays until `lead` is over, and fades."""
    return level * smooth_step(t / 0.25) * (1 - smooth_step((t - lead) / 0.6))


def low_pitch(talk: Talk, frames: int) -> FloatArray:
    """Pitch sags to a half over the lead and is low from LOW_S before the cue until its end."""

    def shape(t: FloatArray, lead: FloatArray) -> FloatArray:
        return np.where(t < lead, 0.5 * t / np.maximum(lead, FRAME_S), 1.0).astype(np.float32)

    cue = np.nan_to_num(talk.cue, nan=1e8)
    on = talk.on & talk.cue_low & np.isfinite(talk.cue)
    out = np.zeros((len(cue), frames), dtype=np.float32)
    return paint(out, cue - LOW_S - talk.cue_lead, cue + CUE_S, on, shape, talk.cue_lead)


def upper_face(seed: Seed, p: People, frames: int) -> dict[str, FloatArray]:
    """Brow raises (1.7 to 2.5 a minute of 1.1 s), frowns, sadness and doubt (chosen: rare, in some people only)."""
    rng = generator(seed, _FACE)
    worlds = len(p.kind)
    table: dict[str, tuple[float, float, float, float, Range]] = {
        # a minute, share of people, effect of valence, of arousal, apex in s
        "brow_up": (2.2, 1.0, 0.0, 0.5, (0.15, 1.0)),
        "frown": (1.0, 0.6, -0.6, 0.2, (0.8, 5.0)),
        "sad": (0.9, 0.35, -0.8, -0.3, (1.5, 7.0)),
        "doubt": (0.9, 0.5, -0.3, 0.0, (0.8, 3.5)),
    }
    out = {}
    for name, (per_minute, share, valence, arousal, hold) in table.items():
        has = rng.random(worlds) < share
        rate = log_normal(rng, per_minute, 0.5, (worlds,)) * has * np.minimum(p.lively, 1.5) / 60.0
        drive = np.exp(valence * p.mood[..., 0] + arousal * p.mood[..., 1] - 0.5 * (valence**2 + arousal**2))
        events = spread_events(
            rng, rate[:, None] * drive, capacity(8.0, frames), gap_s=1.0, amplitude=(0.25, 0.9), rise=(0.25, 0.6),
            hold=hold, fall=(0.3, 1.0),
        )  # fmt: skip
        out[name] = envelope(events, frames)
    return out


def make_nods(seed: Seed, worlds: int, frames: int) -> tuple[FloatArray, FloatArray]:
    """Head pitch (rad) of the speaker's nods, and where they are (0..1)."""
    rng = generator(seed, _NODS)
    shape = (worlds, capacity(8.0, frames))
    cycles = rng.choice([1.0, 2.0, 3.0, 4.0], shape, p=[0.4, 0.35, 0.17, 0.08]).astype(np.float32)
    hertz = uniform(rng, 1.2, 2.1, shape)
    size = np.radians(np.clip(log_normal(rng, 6.0, 0.3, shape), 3.0, 11.0)) * (0.85 + 0.1 * cycles)
    last = cycles / hertz
    start = renewal(rng, steady(log_normal(rng, 3.0, 0.6, (worlds,)) / 60.0, frames), last, 1.0)
    on = start < 1e8

    def pitch(t: FloatArray, hertz: FloatArray, cycles: FloatArray, size: FloatArray) -> FloatArray:
        phase = t * hertz
        fade = np.exp(-0.3 * phase) * smooth_step((cycles - phase) * 2.0)
        return np.asarray(size * 0.5 * (1 - np.cos(2 * np.pi * phase)) * fade, dtype=np.float32)

    dips = paint(np.zeros((worlds, frames), np.float32), start, start + last, on, pitch, hertz, cycles, size)
    return dips, cover(start + 0.12, start + last, on, frames).astype(np.float32)


def make_breath(seed: Seed, talk: Talk, frames: int, precursors: bool) -> FloatArray:
    """In-breaths before most turns, and some that no turn follows."""
    rng = generator(seed, _BREATH)
    worlds = len(talk.start)
    lead = uniform(rng, *LEAD_S, talk.start.shape)
    on = talk.on & talk.opens & (rng.random(talk.start.shape, dtype=np.float32) < 0.75) & precursors
    false = uniform(rng, *LEAD_S, (worlds, capacity(4.0, frames)))
    start = renewal(rng, steady(np.full(worlds, 1.0 / 60.0, np.float32), frames), false, 2.0)
    out = np.zeros((worlds, frames), dtype=np.float32)
    for first, last, exists in ((talk.start - lead, lead, on), (start, false, (start < 1e8) & precursors)):
        paint(out, first, first + last, exists, _arch, last)
    return out


def _arch(t: FloatArray, length: FloatArray) -> FloatArray:
    return np.asarray(np.sin(np.pi * np.clip(t / length, 0, 1)), dtype=np.float32)


def make_blinks(seed: Seed, worlds: int, frames: int) -> FloatArray:
    """Closing of the lids: 26 a minute in conversation, log-normal between people; 80 ms down, 150 ms up."""
    rng = generator(seed, _BLINK)
    rate = np.clip(log_normal(rng, 29.0, 0.4, (worlds,)), 9.0, 60.0)
    shape = (worlds, capacity(40.0, frames))
    start = renewal(rng, steady(rate / 60.0, frames), np.full(shape, 0.25, np.float32), 0.3)
    size, rise, hold, fall = (np.full(shape, value, np.float32) for value in (1.0, 0.08, 0.02, 0.15))
    return envelope(Events(start, size, rise, hold, fall, start < 1e8), frames)


def make_waves(seed: Seed, worlds: int, frames: int) -> FloatArray:
    """Random motion (B, T, 13): glances | where the eyes go (2) | swell of smiles | head, in three paces (9)."""
    taus = (0.5, 1.0, 1.0, 0.6, *(1.0,) * 3, *(0.2,) * 3, *(0.06,) * 3)
    return ornstein(generator(seed, _HEAD), worlds, frames, taus)


def make_head(
    seed: Seed, waves: FloatArray, talking: FloatArray, nod: FloatArray, nodding: FloatArray, breath: FloatArray,
    shake: FloatArray, doubt: FloatArray, lively: FloatArray,
) -> FloatArray:  # fmt: skip
    """Pitch, yaw and roll (rad) from slow and quick motion, nods, in-breaths and shaking."""
    rng = generator(seed, _HEAD + 100)
    worlds, frames = nod.shape
    time = np.arange(frames, dtype=np.float32) * FRAME_S
    scale = np.asarray(np.sqrt(lively)[:, None, None] * log_normal(rng, 1.0, 0.3, (worlds, 1, 1)), dtype=np.float32)
    calm = np.array([0.054, 0.044, 0.028], np.float32)
    busy = np.array([0.066, 0.110, 0.045], np.float32)
    size = calm + (busy - calm) * talking[..., None]
    head = np.asarray(
        scale * size * (0.85 * waves[..., 4:7] + 0.42 * waves[..., 7:10] + 0.14 * waves[..., 10:]), dtype=np.float32
    )
    side = rng.choice([-1.0, 1.0], (worlds, 1)).astype(np.float32)
    tremor = np.sin(2 * np.pi * uniform(rng, 4.0, 5.5, (worlds, 1)) * time)
    shaking = 0.025 * shake * tremor - 0.03 * shake
    head[..., 0] *= 1 - 0.8 * low_pass(nodding > 0, 0.1)  # a nod is made on purpose: the rest is still meanwhile
    head[..., 0] += nod - 0.04 * breath + shaking
    head[..., 2] += side * 0.06 * doubt
    return np.asarray(head, dtype=np.float32)


def make_present(seed: Seed, worlds: int, frames: int) -> BoolArray:
    """Somebody is there: a few worlds are empty, in a quarter of them the person leaves for a while."""
    rng = generator(seed, _PRESENCE)
    leaves = rng.random((worlds, 1)) < 0.25
    count = capacity(4.0, frames)
    rate = np.full(worlds, 2.0 / 60.0, np.float32)
    away = renewal(rng, steady(rate, frames), uniform(rng, 1.0, 8.0, (worlds, count)), 4.0)
    gone = cover(away, away + uniform(rng, 1.0, 8.0, (worlds, count)), np.broadcast_to(leaves, away.shape), frames)
    return np.asarray(~gone & (rng.random((worlds, 1)) >= 0.05))

"""`evaluate turns`: how soon the end of a turn is found, and how well each signal says what comes.

Three kinds of evidence: the timings of a real dialogue (`of_timings`; with annotated gaze the face's share is that of
real gaze, voices laid under are synthesised and of languages that were not learnt), recordings with marked turns
through the whole pipeline (`of_recordings`), and simulated faces (`of_faces`).

Waits are defined as eot-bench (LiveKit, Apache-2.0) has them: every silence within a turn is a decision, the last one
is its end. A false cutoff is to answer in one that was not the last; the wait is that after the last. A policy has a
threshold of the probability and a timeout; of all policies within a budget of false cutoffs the shortest mean wait
counts. Silence alone has the timeout only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import neutral
from reactdiff_ros.perception.voice import HANG_OVER_S
from reactdiff_ros.recordings.datasets.turns import Participant, Turns, within
from reactdiff_ros.recordings.extraction import hearing
from reactdiff_ros.resampling import RATE_HZ
from reactdiff_ros.turns.config import TurnsConfig
from reactdiff_ros.turns.cues import FACE, FaceCues
from reactdiff_ros.turns.features import Features, pause_columns
from reactdiff_ros.turns.readout import ReadOut
from reactdiff_ros.turns.smart_turn import SmartTurn
from reactdiff_ros.turns.tracker import TurnTracker
from reactdiff_ros.types import FloatArray, Gaze, OnProgress, SpeakerFrame, SpeechState, Voice
from tools.small_networks.turns.faces import face_rows
from tools.small_networks.turns.spoken_turns import SpokenTurns
from tools.small_networks.turns.timings import ONSET_S, TERMINAL_S, Pause, pauses_of, situation_rows, talk_of
from tools.small_networks.turns.train import auc, entropy
from tools.small_networks.turns.voices import Endings, pcm_of, sound_of

Floats = NDArray[np.float64]
STEP_S: Final = 0.05
BUDGETS: Final = (0.05, 0.10)
LONGEST_S: Final = 2.5
THRESHOLDS: Final = 80
BINS: Final = 10
SYSTEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "timing": ("voice", "network", "face"),
    "timing_voice": ("network", "face"),
    "timing_voice_network": ("face",),
    "timing_face": ("voice", "network"),
    "all": (),
}
"""What each system leaves out."""
ANSWER_S: Final = 0.12
"""After the question, smart-turn's answer is there."""
FRAME_S: Final = 0.04
OVERLAP_S: Final = 1.0
"""A robot under test does not answer: what the other says from so long before a silence on is left out."""
CONTACT_COLUMNS: Final = tuple(i for i, name in enumerate(FACE) if name.startswith("contact"))
REPEATS: Final = 4
"""How often synthesised voices are drawn anew for each pause."""


# Decisions


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pauses (N) and the probability that they end the turn, at STEP_S, 2 STEP_S, ... of their silence."""

    ends: NDArray[np.bool_]
    length_s: Floats
    """(N,) until the person goes on; of ends: not used."""
    probability: Floats
    """(N, T), NaN or 0 where the silence is not noticed yet; after the end of a hold it does not count."""

    @property
    def times_s(self) -> Floats:
        """(T,)"""
        return STEP_S * np.arange(1, self.probability.shape[1] + 1)


def waits(decisions: Decisions, budgets: Sequence[float] = BUDGETS) -> dict[str, dict[str, float]]:
    """For each budget of false cutoffs: mean wait in s of the best policy and of silence alone, and the share saved;
    NaN where no timeout up to LONGEST_S keeps it.
    """
    p = np.maximum.accumulate(np.nan_to_num(decisions.probability), axis=1)
    times, ends, holds = decisions.times_s, decisions.ends, ~decisions.ends
    timeouts = np.arange(0.2, LONGEST_S + STEP_S / 2, STEP_S)
    found = np.unique(np.quantile(p[p > 0.0], np.linspace(0.0, 1.0, THRESHOLDS))) if (p > 0.0).any() else np.zeros(0)
    best = {budget: np.inf for budget in budgets}
    alone = {budget: np.inf for budget in budgets}
    for threshold in (*found, np.inf):
        over = p >= threshold
        fires = np.where(over.any(1), times[over.argmax(1)], np.inf)
        wait = np.minimum(fires[:, None], timeouts)
        cut = (wait[holds] < decisions.length_s[holds, None] - 1e-6).mean(0) if holds.any() else np.zeros(len(timeouts))
        mean = wait[ends].mean(0) if ends.any() else np.full(len(timeouts), np.nan)
        for budget in budgets:
            allowed = mean[cut <= budget]
            if len(allowed):
                best[budget] = min(best[budget], float(allowed.min()))
                if np.isinf(threshold):
                    alone[budget] = float(allowed.min())
    return {
        f"{round(100 * budget)}_percent": {
            "wait_s": _finite(best[budget]), "silence_alone_s": _finite(alone[budget]),
            "saved": _finite(1.0 - best[budget] / alone[budget]) if np.isfinite(alone[budget]) else float("nan"),
        }
        for budget in budgets
    }  # fmt: skip


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")


def balanced_accuracy(scores: Floats, labels: NDArray[np.bool_], threshold: float) -> float:
    """Mean of the shares of positives at or over the threshold and of negatives below it; NaN without both."""
    if not labels.any() or labels.all():
        return float("nan")
    over = scores >= threshold
    return float((over[labels].mean() + (~over[~labels]).mean()) / 2.0)


def reliability(probability: Floats, labels: NDArray[np.bool_]) -> dict[str, object]:
    """Expected calibration error, and in BINS bins of equal width the mean probability, the share, and the count."""
    if not len(labels):
        return {"error": float("nan"), "mean": [], "share": [], "count": []}
    place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    some = np.flatnonzero(count)
    mean = np.bincount(place, probability, BINS)[some] / count[some]
    share = np.bincount(place, labels.astype(np.float64), BINS)[some] / count[some]
    error = float((count[some] * np.abs(mean - share)).sum() / count.sum())
    return {"error": error, "mean": mean.tolist(), "share": share.tolist(), "count": count[some].tolist()}


# The timings of a real dialogue


def of_timings(
    turns: Turns, readout: ReadOut, *, endings: Endings | None = None, gaze: Mapping[str, Floats] | None = None,
    seed: int = 0, progress: OnProgress = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """Figures of a dialogue that the read-out was not trained on.

    Args:
        turns: who talks when.
        readout: the weights.
        endings: voices for the ends of utterances, None: no voice is heard.
        gaze: when each participant looks at the other, of `read_gaze`.
        seed: of the voices that are drawn.
        progress: receives the completed fraction.
    """
    pauses = pauses_of(turns)
    times = STEP_S * np.arange(1, round(LONGEST_S / STEP_S) + 1)
    rng = np.random.default_rng([seed, 95])
    ends = np.array([pause.ends for pause in pauses])
    faces = None if gaze is None else [_gaze_columns(p, turns, gaze, times, readout) for p in pauses]
    progress(0.2)
    out: dict[str, Any] = {"pauses": len(pauses), "ends": int(ends.sum()), "minutes": turns.seconds / 60.0}
    drawn: list[tuple[Endings, NDArray[np.intp]] | None] = [None]
    if endings is not None:
        drawn = [(endings, endings.draw(ends, rng)) for _ in range(REPEATS)]
    for name, without in SYSTEMS.items():
        if (endings is None and "voice" not in without) or (faces is None and "face" not in without):
            continue
        parts = [_decisions(pauses, times, readout, without, voices, faces) for voices in drawn]
        out[name] = _figures(_joined(parts), readout)
    progress(0.6)
    out["signals"] = _signals(turns, readout)
    progress(0.8)
    out["barge_in"] = barge_ins(turns, readout)
    progress(1.0)
    return out


def _joined(parts: Sequence[Decisions]) -> Decisions:
    rows = ((d.ends, d.length_s, d.probability) for d in parts)
    return Decisions(*map(np.concatenate, zip(*rows, strict=True)))


def _figures(decisions: Decisions, readout: ReadOut) -> dict[str, Any]:
    early = decisions.probability[:, round(HANG_OVER_S / STEP_S) - 1]
    heard = decisions.ends | (decisions.length_s > HANG_OVER_S)
    prior = float(readout.about.get("ends_at_0.2_s", 0.5))
    silent = [decisions.ends | (decisions.length_s > t) for t in decisions.times_s]  # at each step: which still are
    columns = np.concatenate([p[e] for p, e in zip(decisions.probability.T, silent, strict=True)])
    labels = np.concatenate([decisions.ends[e] for e in silent])
    noticed = columns > 0.0
    return {
        **waits(decisions), "defaults": _defaults(decisions, TurnsConfig()),
        "shift_hold": {
            "balanced_accuracy": balanced_accuracy(early[heard], decisions.ends[heard], prior),
            "auc": auc(early[heard], decisions.ends[heard]),
        },
        "reliability": reliability(columns[noticed], labels[noticed]),
    }  # fmt: skip


def _defaults(decisions: Decisions, config: TurnsConfig) -> dict[str, float]:
    """Of the events as they are by default: mean wait for `eot`, and false cutoffs by `eot` and `eot_eager`."""
    p, times = np.nan_to_num(decisions.probability), decisions.times_s
    late = times >= config.least_silence_s - 1e-9
    out = {}
    for name, threshold in (("eot", config.end_probability), ("eot_eager", config.eager_probability)):
        over = (p >= threshold) & late
        fires = np.minimum(np.where(over.any(1), times[over.argmax(1)], np.inf), config.longest_silence_s)
        holds = ~decisions.ends
        out[f"{name}_wait_s"] = float(fires[decisions.ends].mean()) if decisions.ends.any() else float("nan")
        cut = fires[holds] < decisions.length_s[holds] - 1e-6
        out[f"{name}_false_cutoffs"] = float(cut.mean()) if holds.any() else float("nan")
    return out


def _decisions(
    pauses: Sequence[Pause], times: Floats, readout: ReadOut, without: Collection[str],
    voices: tuple[Endings, NDArray[np.intp]] | None, faces: Sequence[Sequence[Floats | None]] | None,
) -> Decisions:  # fmt: skip
    probability = np.zeros((len(pauses), len(times)))
    for row, pause in enumerate(pauses):
        voice = network = None
        if voices is not None:
            voice, network = (of[voices[1][row]] for of in (voices[0].voice, voices[0].network))
            voice, network = (None if np.isnan(of).any() else of for of in (voice, network))
        for step, t in enumerate(times):
            if t < HANG_OVER_S - 1e-9 or (not pause.ends and t > pause.end_s - pause.begin_s):
                continue
            features = Features(
                situation=np.zeros(0), pause=pause_columns(pause.floor, to_ns(pause.begin_s + t)), voice=voice,
                face=None if faces is None else faces[row][step],
                network=network if t >= HANG_OVER_S + ANSWER_S else None,
            )  # fmt: skip
            probability[row, step] = readout.probability("eot", features, without)
    ends = np.array([pause.ends for pause in pauses])
    return Decisions(ends, np.array([pause.end_s - pause.begin_s for pause in pauses]), probability)


def _gaze_columns(
    pause: Pause, turns: Turns, gaze: Mapping[str, Floats], times: Floats, readout: ReadOut
) -> list[Floats | None]:
    """The face's columns during a pause: contact is annotated, all else is what it is on average."""
    name = turns.people[pause.person].name
    spans = next((of for who, of in gaze.items() if name.startswith(who)), None)
    weights = readout.heads["eot"].get("face")
    if spans is None or weights is None:
        return [None] * len(times)
    cues, out = FaceCues(), []
    before = np.arange(max(pause.begin_s - 60.0, 0.0), pause.begin_s, FRAME_S)
    for look in within(spans, before):
        cues.usual_contact.add(_contact(bool(look)))
    stamps = np.arange(pause.begin_s - 2.5, pause.begin_s + times[-1] + 0.001, FRAME_S)
    seen, contact, sure = within(spans, stamps), list(CONTACT_COLUMNS), np.ones(len(neutral()), np.float32)
    k = 0
    for t in times:
        while k < len(stamps) and stamps[k] <= pause.begin_s + t:
            at_ns, gazes = to_ns(stamps[k] + 10.0), Gaze(0.0, 0.0, _contact(bool(seen[k])))
            cues.see(SpeakerFrame(at_ns, at_ns, None, 0, True, True, neutral(), sure, 1.0, gazes, None, None, None))
            k += 1
        values = cues.values(to_ns(pause.begin_s + t + 10.0))
        columns = None if values is None else weights.mean.copy()
        if columns is not None and values is not None:
            columns[contact] = values[contact]
        out.append(columns)
    return out


def _contact(looks_at: bool) -> float:
    """As perception's belief that someone looks at the robot."""
    return 0.9 if looks_at else 0.1


def _signals(turns: Turns, readout: ReadOut) -> dict[str, Any]:
    """AUC, log loss (nats; `constant`: of the mean alone) and calibration of what timing says of the other signals."""
    out = {}
    for head, rows in situation_rows([turns], every=2).items():
        logits = readout.heads[head]["situation"].logit(rows.columns)
        sign, mean = np.where(rows.labels, 1.0, -1.0), float(rows.labels.mean())
        out[f"p_{head}"] = {
            "auc": auc(logits, rows.labels), "log_loss": float(np.logaddexp(0.0, -sign * logits).mean()),
            "constant": entropy(mean), "mean": mean,
            "reliability": reliability(1.0 / (1.0 + np.exp(-logits)), rows.labels),
        }  # fmt: skip
    return out


# Speech over the robot's, through the tracker


def barge_ins(turns: Turns, readout: ReadOut) -> dict[str, float]:
    """Of what each participant says over the other's turn (not in its last TERMINAL_S): which turns became barge_in
    and how soon, and how many backchannels did, heard through an echo canceller.
    """
    delays, hits, turns_over, wrong, short = [], 0, 0, 0, 0
    for person, other in zip(turns.people, turns.people[::-1], strict=True):
        own = talk_of(person)
        noticed = _noticed(person, other, turns.seconds, readout)
        for begin, end in own:
            over = other.talk[(other.talk[:, 0] < begin) & (other.talk[:, 1] > begin + TERMINAL_S)]
            if not len(over):
                continue
            is_turn = bool(((person.talk[:, 0] >= begin - 1e-6) & (person.talk[:, 0] <= end)).any())
            found = noticed[(noticed >= begin) & (noticed <= end + HANG_OVER_S)]
            if is_turn:
                turns_over += 1
                hits += bool(len(found))
                delays += [float(found[0] - begin)] if len(found) else []
            else:
                short += 1
                wrong += bool(len(found))
    delay = np.array(delays) if delays else np.array([np.nan])
    return {
        "turns": turns_over, "found": hits / max(turns_over, 1), "delay_p50_s": float(np.median(delay)),
        "delay_p90_s": float(np.quantile(delay, 0.9)), "backchannels": short,
        "backchannels_taken": wrong / max(short, 1),
    }  # fmt: skip


CANCELLED_S: Final = 0.1
"""The start of speech over the robot's that an echo canceller hides, median (test/capture/test_echo.py)."""


def _noticed(person: Participant, other: Participant, seconds: float, readout: ReadOut) -> Floats:
    """When barge_in was noticed, s."""
    audible = talk_of(person)
    audible[:, 0] = np.minimum(audible[:, 0] + CANCELLED_S, audible[:, 1])
    tracker = TurnTracker(readout, TurnsConfig(full_duplex=True))
    found = []
    for k in range(1, int(seconds / FRAME_S)):
        t = k * FRAME_S
        tracker.push_frame(_heard_frame(audible, t))
        speaks = bool(((other.talk[:, 0] <= t) & (other.talk[:, 1] > t)).any())
        tracker.push_speech(SpeechState(to_ns(t), "speaking" if speaks else "idle"))
        found += [t for s in tracker.advance(to_ns(t)) for e in s.events if e.kind == "barge_in"]
    return np.array(found)


def _heard_frame(own: Floats, t: float) -> SpeakerFrame:
    i = int(np.searchsorted(own[:, 0] + ONSET_S, t, side="right")) - 1
    speaking = i >= 0 and t < own[i, 1] + HANG_OVER_S
    ended = own[own[:, 1] + HANG_OVER_S <= t, 1]
    voice = Voice(
        0.95 if speaking and t <= own[i, 1] else 0.02, bool(speaking), np.zeros(26, np.float32), 0.0, float("nan"),
        0.0 if speaking else float(t - ended[-1]) if len(ended) else float("nan"),
        float(t - own[i, 0]) if speaking else 0.0,
    )  # fmt: skip
    return _faceless(to_ns(t), voice, to_ns(t))


def _faceless(now_ns: int, voice: Voice, sound_ns: int) -> SpeakerFrame:
    """What is perceived of someone who is heard and not seen."""
    nothing = np.zeros(len(neutral()), np.float32)
    return SpeakerFrame(now_ns, None, sound_ns, -1, False, False, nothing, nothing, 0.0, None, None, None, voice)


# Recordings with marked turns


def of_recordings(
    recordings: Sequence[SpokenTurns], readout: ReadOut, network: SmartTurn | None,
    progress: OnProgress = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """Figures of recordings through perception, smart-turn and the tracker, as live (no face is seen).

    Raises:
        MediaError: a recording cannot be read or has no sound.
    """
    groups: dict[str, list[Decisions]] = {name: [] for name in ("timing", "timing_voice", "all")}
    left_out = {"timing": ("voice", "network"), "timing_voice": ("network",), "all": ()}
    for number, recording in enumerate(recordings):
        sound = _sound_of(recording)
        if recording.silences:
            heard = listen(recording, sound, readout, network)
            for name, without in left_out.items():
                groups[name].append(_heard_decisions(recording, heard, readout, without))
        progress((number + 1) / len(recordings))
    out: dict[str, Any] = {"recordings": len(recordings)}
    for name, parts in groups.items():
        whole = _joined(parts)
        out[name] = _figures(whole, readout)
        out |= {"pauses": len(whole.ends), "ends": int(whole.ends.sum())}
    return out


def _sound_of(recording: SpokenTurns) -> FloatArray:
    """16 kHz mono, of the person alone."""
    samples = sound_of(recording.sound).copy()
    if recording.only is not None:
        own = np.zeros(len(samples), dtype=bool)
        for begin, end in recording.only:
            own[round(begin * RATE_HZ) : round(end * RATE_HZ)] = True
        quiet = np.random.default_rng(0).standard_normal(len(samples), dtype=np.float32) * np.float32(3e-4)
        samples = np.where(own, samples, quiet)
    return np.concatenate([samples, np.zeros(round((LONGEST_S + 1.0) * RATE_HZ), np.float32)])


def listen(
    recording: SpokenTurns, sound: FloatArray, readout: ReadOut, network: SmartTurn | None
) -> dict[int, Features]:
    """What the tracker knows at each tick (of 50 ms, by its number), as live: frames of sound 25 times a second."""
    heard_at, tracker = hearing(pcm_of(sound), RATE_HZ), TurnTracker(readout, TurnsConfig(full_duplex=True))
    waiting: list[tuple[int, int, float]] = []
    out: dict[int, Features] = {}
    for k in range(1, int(len(sound) / RATE_HZ / FRAME_S)):
        now_ns = to_ns(k * FRAME_S)
        if (heard := heard_at(now_ns)) is not None:
            tracker.push_frame(_faceless(now_ns, *heard))
        t = k * FRAME_S
        waits_for = any(s.begin_s - OVERLAP_S <= t < s.begin_s + LONGEST_S for s in recording.silences)
        speaks = not waits_for and any(begin <= t < end for begin, end in recording.other)
        tracker.push_speech(SpeechState(now_ns, "speaking" if speaks else "idle"))
        for at_ns, pause_ns, answer in waiting:
            if at_ns <= now_ns:
                tracker.push_answer(pause_ns, answer)
        waiting = [item for item in waiting if item[0] > now_ns]
        for tick in tracker.advance(now_ns):
            out[tick.signals.stamp_ns // (NS // 20)] = tick.features
        asked_ns = tracker.asks()
        if asked_ns is not None and network is not None:
            waiting.append((now_ns + to_ns(ANSWER_S), asked_ns, network.probability(sound[: now_ns * RATE_HZ // NS])))
    return out


def _heard_decisions(
    recording: SpokenTurns, heard: Mapping[int, Features], readout: ReadOut, without: Collection[str]
) -> Decisions:
    steps = round(LONGEST_S / STEP_S)
    probability = np.zeros((len(recording.silences), steps))
    for row, silence in enumerate(recording.silences):
        for step in range(steps):
            features = heard.get(round((silence.begin_s + (step + 1) * STEP_S) / STEP_S))
            if features is not None and features.pause is not None:
                probability[row, step] = readout.probability("eot", features, without)
    return Decisions(
        np.array([s.ends for s in recording.silences]), np.array([s.end_s - s.begin_s for s in recording.silences]),
        probability,
    )  # fmt: skip


# Simulated faces


def of_faces(readout: ReadOut, worlds: int, seed: int) -> dict[str, Any]:
    """What the face alone says of simulated people who were not learnt from: AUC within silences of the same length."""
    out = {}
    for head, (rows, _) in face_rows(worlds, seed).items():
        weights = readout.heads[head].get("face")
        if weights is None:
            continue
        logits = weights.logit(rows.columns)
        early = (rows.time_s >= HANG_OVER_S) & (rows.time_s < 0.6)
        out[head] = {"auc": auc(logits[early], rows.labels[early]), "samples": int(early.sum())}
    return out

"""What voice and smart-turn say at ends of utterances, on synthesised speech: turns of clauses that end or go on.

espeak-ng speaks every clause with the melody of its mark. Which marks ends of turns and pauses within turns have is
chosen (SHARES), after the shares of syntactically complete pauses in English and Swedish conversations (Gravano and
Hirschberg 2011; Heldner and Edlund 2010), so that melody tells little about real turns: half of the holds sound final.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.recordings.datasets.recording import DatasetError
from reactdiff_ros.recordings.extraction import hearing
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.simulator.voices import VOICE_RATE_HZ, espeak
from reactdiff_ros.turns.cues import PROSODY, VoiceCues
from reactdiff_ros.turns.features import log_odds
from reactdiff_ros.turns.smart_turn import SmartTurn
from reactdiff_ros.types import FloatArray
from tools.small_networks import known_lips
from tools.small_networks.timed_voices import text_grid

Floats = NDArray[np.float64]
MARKS: Final = (",", "and", ".", "?")
"""A clause that goes on, one that stops after the next word, a statement, a question."""
SHARES: Final = {True: (0.1, 0.02, 0.58, 0.3), False: (0.3, 0.22, 0.43, 0.05)}
"""Of the marks at ends of turns, and at pauses within them (chosen)."""
LANGUAGES: Final = {
    "en": ("en-us", "en-gb", "en-us+f2", "en-gb+f4", "en-us+m3", "en-gb+m7"),
    "de": ("de", "de+f2", "de+m3"),
    "es": ("es", "es+f3", "es+m2"),
    "fr": ("fr", "fr+f1", "fr+m4"),
}
UNSEEN: Final = {"nl": ("nl", "nl+f2", "nl+m3"), "it": ("it", "it+f4", "it+m5")}
"""Languages and voices that are not learnt from."""
_WORDS: Final = {
    "en": (
        ("I", "we", "my sister", "they", "the neighbours"),
        ("went to the market", "saw the new film", "wanted to call you", "cooked a warm meal", "missed the train"),
        ("yesterday evening", "in the rain", "with the children", "after work", "for the first time"),
        ("and then", "because", "but I", "so that"),
        ("did you see it", "what do you think", "would you like that", "are you coming along"),
    ),
    "de": (
        ("ich", "wir", "meine Schwester", "die Nachbarn", "er"),
        ("ging zum Markt", "sah den neuen Film", "wollte dich anrufen", "kochte etwas Warmes", "verpasste den Zug"),
        ("gestern Abend", "im Regen", "mit den Kindern", "nach der Arbeit", "zum ersten Mal"),
        ("und dann", "weil", "aber ich", "so dass"),
        ("hast du es gesehen", "was meinst du", "magst du das", "kommst du mit"),
    ),
    "es": (
        ("yo", "mi hermana", "el vecino", "ella", "mi padre"),
        ("fue al mercado", "vio la nueva película", "quería llamarte", "cocinó algo caliente", "perdió el tren"),
        ("ayer por la tarde", "bajo la lluvia", "con los niños", "después del trabajo", "por primera vez"),
        ("y luego", "porque", "pero yo", "para que"),
        ("lo has visto", "qué te parece", "te gustaría eso", "vienes conmigo"),
    ),
    "fr": (
        ("ma soeur", "le voisin", "elle", "mon père", "il"),
        ("est allé au marché", "a vu le nouveau film", "voulait t'appeler", "a fait la cuisine", "a raté le train"),
        ("hier soir", "sous la pluie", "avec les enfants", "après le travail", "pour la première fois"),
        ("et puis", "parce que", "mais je", "pour que"),
        ("tu l'as vu", "qu'en penses-tu", "ça te plairait", "tu viens avec moi"),
    ),
    "nl": (
        ("ik", "mijn zus", "de buurman", "zij", "hij"),
        ("ging naar de markt", "zag de nieuwe film", "wilde je bellen", "kookte iets warms", "miste de trein"),
        ("gisteravond", "in de regen", "met de kinderen", "na het werk", "voor het eerst"),
        ("en toen", "omdat", "maar ik", "zodat"),
        ("heb je het gezien", "wat denk je", "lijkt je dat leuk", "ga je mee"),
    ),
    "it": (
        ("mia sorella", "il vicino", "lei", "mio padre", "lui"),
        ("è andato al mercato", "ha visto il nuovo film", "voleva chiamarti", "ha cucinato", "ha perso il treno"),
        ("ieri sera", "sotto la pioggia", "con i bambini", "dopo il lavoro", "per la prima volta"),
        ("e poi", "perché", "ma io", "così che"),
        ("l'hai visto", "che ne pensi", "ti piacerebbe", "vieni con me"),
    ),
}  # fmt: skip
CLAUSES: Final = 10
"""Of a session, about 30 s of one voice."""


@dataclass(frozen=True, slots=True)
class Endings:
    """What was measured at ends of clauses, 0.2 s after them."""

    mark: NDArray[np.intp]
    """(N,) of MARKS."""
    voice: Floats
    """(N, len(PROSODY)), NaN where it is not known."""
    network: Floats
    """(N, 1) log odds of smart-turn, NaN without it."""

    def draw(self, ends: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
        """For each pause that ends a turn or not, one of the endings, with the marks' shares."""
        ended, held = (rng.choice(len(MARKS), len(ends), p=SHARES[at_end]) for at_end in (True, False))
        marks = np.where(ends, ended, held)
        out = np.zeros(len(ends), dtype=np.intp)
        for mark in range(len(MARKS)):
            of_mark = np.flatnonzero(self.mark == mark)
            out[marks == mark] = rng.choice(of_mark, int((marks == mark).sum()))
        return out


def _endings(rows: Sequence[tuple[int, Floats, float]]) -> Endings:
    marks, voices, answers = zip(*rows, strict=True)
    return Endings(np.array(marks), np.array(voices), np.array(answers)[:, None])


def make_endings(
    sessions: int, seed: int, network: SmartTurn | None, languages: Mapping[str, tuple[str, ...]] = LANGUAGES,
    progress: Callable[[float], None] = lambda share: None,
) -> Endings:  # fmt: skip
    """Endings of `sessions` voices, CLAUSES each.

    Raises:
        ReactdiffError: espeak-ng is missing.
        WeightsError: the voice activity network is missing.
    """
    rng = np.random.default_rng([seed, 90])
    rows: list[tuple[int, Floats, float]] = []
    names = [(language, voice) for language, of in languages.items() for voice in of]
    for number in range(sessions):
        language, voice = names[number % len(names)]
        sound, ends_s, of = _session(language, voice, rng)
        rows += [(mark, *found) for mark, found in zip(of, _measured(sound, ends_s, network), strict=True)]
        progress((number + 1) / sessions)
    return _endings(rows)


def _session(language: str, voice: str, rng: np.random.Generator) -> tuple[FloatArray, list[float], list[int]]:
    """16 kHz sound of a voice in a room, where its clauses end (s), and their marks."""
    subjects, verbs, places, joins, questions = _WORDS[language]
    pitch, speed = int(rng.integers(25, 75)), int(rng.integers(135, 195))
    pieces: list[FloatArray] = [np.zeros(RATE_HZ // 2, np.float32)]
    ends_s, marks = [], []
    for _ in range(CLAUSES):
        mark = int(rng.integers(len(MARKS)))
        clause = f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(places)}"
        text = {0: f"{clause},", 1: f"{clause}, {rng.choice(joins)},", 2: f"{clause}.", 3: f"{rng.choice(questions)}?"}
        resampler = Resampler(VOICE_RATE_HZ)
        resampler.push(espeak(voice, text[mark], pitch, speed))
        said = resampler.take(resampler.reach())
        pieces.append(said / max(float(np.sqrt(np.mean(said**2))), 1e-6))
        ends_s.append(sum(map(len, pieces)) / RATE_HZ)
        marks.append(mark)
        pieces.append(np.zeros(int(rng.uniform(0.45, 1.0) * RATE_HZ), np.float32))
    level, floor = 10 ** (rng.uniform(-34, -20) / 20), 10 ** (rng.uniform(-75, -52) / 20)
    whole = np.concatenate(pieces)
    noise = rng.standard_normal(len(whole), dtype=np.float32)
    return (level * whole + floor * noise).astype(np.float32), ends_s, marks


def _measured(sound: FloatArray, ends_s: Sequence[float], network: SmartTurn | None) -> list[tuple[Floats, float]]:
    heard_at, cues = hearing(pcm_of(sound), RATE_HZ), VoiceCues()
    out, frame = [], 0
    for end_s in ends_s:
        until_ns = round((end_s + 0.24) * NS)
        while (now_ns := frame * NS // 25) <= until_ns:
            if (heard := heard_at(now_ns)) is not None:
                cues.hear(*heard)
            frame += 1
        values = cues.values()
        answer = np.nan
        if network is not None:
            answer = log_odds(network.probability(sound[: round((end_s + 0.22) * RATE_HZ)]))
        out.append((np.full(len(PROSODY), np.nan) if values is None else values, answer))
    return out


# Phrases with timed words


def phrase_endings(folder: Path, network: SmartTurn | None) -> Endings:
    """Endings of phrases with natural voices: `*_short_*` ends where `*_long_*` goes on, with the same words.

    A sound and a TextGrid of its words for each. Whole phrases end; long ones, cut after the words of the short one,
    go on though they could end (as a clause does), and cut in their middle they go on within one.

    Raises:
        DatasetError: the folder has no such pairs, or a TextGrid has no words.
        MediaError: a sound cannot be read.
    """
    shorts = sorted(folder.glob("*_short_*.flac"))
    pairs = [(short, short.with_name(short.name.replace("_short_", "_long_"))) for short in shorts]
    pairs = [(short, long) for short, long in pairs if long.is_file()]
    if not pairs:
        raise DatasetError(
            "the folder has no pairs of phrases", where=str(folder), todo="it needs NAME_short_1.flac, ..."
        )
    rows: list[tuple[int, Floats, float]] = []
    for short, long in pairs:
        said, longer = _words_end_s(short), _words_end_s(long)
        middle = longer[max(len(longer) // 3, 1)]
        shared = longer[min(len(said), len(longer)) - 1]
        ends = ((short, said[-1], "."), (long, longer[-1], "."), (long, shared, ","), (long, middle, "and"))
        for path, end_s, mark in ends:
            sound = sound_of(path)[: round(end_s * RATE_HZ)]
            (found,) = _measured(np.concatenate([sound, np.zeros(RATE_HZ // 2, np.float32)]), [end_s], network)
            rows.append((MARKS.index(mark), *found))
    return _endings(rows)


def joined_endings(parts: Sequence[Endings]) -> Endings:
    """All of them."""
    return Endings(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Endings)))


def sound_of(path: Path) -> FloatArray:
    """16 kHz mono of a media file. Errors as `known_lips.sound_of`."""
    sound = known_lips.sound_of(path)
    resampler = Resampler(sound.rate_hz)
    resampler.push(mono(sound.samples))
    return resampler.take(resampler.reach())


def pcm_of(sound: FloatArray) -> NDArray[np.int16]:
    """(n, 1) of mono sound (n,) in -1..1."""
    return np.asarray(np.clip(np.rint(sound * 32768.0), -32768, 32767), np.int16)[:, None]


def _words_end_s(path: Path) -> list[float]:
    """When the words of a phrase end, of the tier "words" of its TextGrid."""
    return [end for _, end, word in text_grid(path.with_suffix(".TextGrid"), "words") if word.strip()]

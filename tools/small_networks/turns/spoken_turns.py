"""Recordings with turns that people marked, each person's sound on its own: silences, and which of them end a turn.

Three layouts of a folder, told by what is in it:

- **clips**: `NAME.wav` (or .flac) with `NAME.rttm`, who speaks when (NIST's Rich Transcription Time Marked). A silence
  of a speaker ends the turn where another one speaks before they go on. Others' voices are cut out of the sound.
- **eot-bench** (LiveKit): `manifest.jsonl`, a row for each turn with `id`, `language`, `audio` (a file in the folder)
  and `silence_spans` (a list of `start` and `end` in s); the last silence is the end of the turn.
- **TurnBench** (Sesame): a folder for each conversation with `speaker_1_audio.wav`, `speaker_2_audio.wav` and
  `speaker_{1,2}_annotation_{a,b,c}.srt`, whose cues begin with "[Label]". Turns are those that two of three annotators
  mark (ends within 0.2 s); a silence after one ends the turn where the other speaks next.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from reactdiff_ros.recordings.datasets.recording import DatasetError, readable_text

SOUNDS: Final = (".wav", ".flac")
LEAST_S: Final = 0.1
"""Silences shorter than this are no decisions, as in eot-bench."""
AGREE_S: Final = 0.2
TURN_LABELS: Final = frozenset({
    "Normal Turn", "Regular Turn", "Strong Floor Hold", "Bounded Response", "Filler", "Overlap",
    "Floor-taking Competitive Interruption", "Floor-taking Cooperative Interruption",
})  # fmt: skip
"""TurnBench's labels that claim the floor."""
_TIME: Final = r"(\d+):(\d{2}):(\d{2})[,.](\d{3})"
_CUE: Final = re.compile(rf"{_TIME}\s*-->\s*{_TIME}\s*\n\s*\[([^\]\n]+)\]")
Spans = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence of the person; `ends`: it ends their turn."""

    begin_s: float
    end_s: float
    ends: bool


@dataclass(frozen=True, slots=True)
class SpokenTurns:
    """One person's sound and their silences; what the other says is the robot's speech."""

    name: str
    sound: Path
    silences: tuple[Silence, ...]
    other: tuple[tuple[float, float], ...] = ()
    only: tuple[tuple[float, float], ...] | None = None
    """Where the sound is the person's; None: everywhere."""


def read_spoken_turns(folder: Path) -> list[SpokenTurns]:
    """All of a folder, in the order of their names.

    Raises:
        DatasetError: it has none of the layouts, or a file of it is missing or damaged.
    """
    if (folder / "manifest.jsonl").is_file():
        found = list(_eot_bench(folder))
    elif any(folder.glob("*/speaker_1_audio.wav")):
        found = [turns for path in sorted(folder.iterdir()) if path.is_dir() for turns in _turnbench(path)]
    elif any(folder.glob("*.rttm")):
        found = [turns for path in sorted(folder.glob("*.rttm")) for turns in _clip(path)]
    else:
        raise DatasetError(
            "the folder has no turns that can be read", where=str(folder),
            todo="give clips with .rttm files, eot-bench's manifest.jsonl or TurnBench's folders (docs/turns.md)",
        )  # fmt: skip
    if not any(turns.silences for turns in found):
        raise DatasetError("no one pauses in these recordings", where=str(folder), todo="give longer ones")
    return found


# eot-bench


def _eot_bench(folder: Path) -> Iterator[SpokenTurns]:
    path = folder / "manifest.jsonl"
    with readable_text(path, "manifest") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
                spans = [(float(span["start"]), float(span["end"])) for span in row["silence_spans"]]
                name, sound = str(row["id"]), folder / str(row["audio"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise DatasetError(
                    "a row of the manifest is not one of eot-bench's", where=where,
                    todo="it needs id, audio and silence_spans with start and end in s",
                ) from error  # fmt: skip
            if not all(math.isfinite(a + b) and 0.0 <= a <= b for a, b in spans):
                raise DatasetError("a silence ends before it begins", where=where, todo="times are s, in order")
            if not sound.is_file() or not sound.resolve().is_relative_to(folder.resolve()):
                raise DatasetError("the sound of a row is missing", where=where, todo=f"put it at {sound}")
            last = len(spans) - 1
            silences = [Silence(a, b, i == last) for i, (a, b) in enumerate(spans) if b - a >= LEAST_S]
            yield SpokenTurns(name, sound, tuple(silences))


# TurnBench


def _turnbench(folder: Path) -> Iterator[SpokenTurns]:
    turns = {}
    for speaker in (1, 2):
        tracks = [_cues(folder / f"speaker_{speaker}_annotation_{who}.srt") for who in "abc"]
        turns[speaker] = agreed(tracks)
    for speaker, other in ((1, 2), (2, 1)):
        sound = folder / f"speaker_{speaker}_audio.wav"
        if not sound.is_file():
            raise DatasetError("the sound of a conversation is missing", where=str(sound))
        silences = silences_of(turns[speaker], turns[other])
        yield SpokenTurns(f"{folder.name}/{speaker}", sound, silences, tuple(turns[other]))


def _cues(path: Path) -> Spans:
    with readable_text(path, "annotation") as file:
        text = file.read().replace("\r\n", "\n")
    found = []
    for cue in _CUE.finditer(text):
        *times, label = cue.groups()
        h, m, s, ms, h2, m2, s2, ms2 = (int(part) for part in times)
        begin, end = 3600 * h + 60 * m + s + ms / 1000, 3600 * h2 + 60 * m2 + s2 + ms2 / 1000
        if label.strip() in TURN_LABELS and end > begin:
            found.append((begin, end))
    return sorted(found)


def agreed(tracks: list[Spans]) -> Spans:
    """Spans that two tracks at least have, with ends within AGREE_S; their medians."""
    out: Spans = []
    used: set[tuple[int, int]] = set()
    for i, track in enumerate(tracks):
        for k, (begin, end) in enumerate(track):
            if (i, k) in used:
                continue
            group = [(i, k)]
            for j in range(i + 1, len(tracks)):
                near = [
                    m for m, (b, e) in enumerate(tracks[j])
                    if (j, m) not in used and abs(b - begin) <= AGREE_S and abs(e - end) <= AGREE_S
                ]  # fmt: skip
                group += [(j, near[0])] if near else []
            if len(group) > 1:
                used.update(group)
                out.append((median(tracks[j][m][0] for j, m in group), median(tracks[j][m][1] for j, m in group)))
    return sorted(out)


# Clips


def _clip(path: Path) -> Iterator[SpokenTurns]:
    sound = next((path.with_suffix(suffix) for suffix in SOUNDS if path.with_suffix(suffix).is_file()), None)
    if sound is None:
        raise DatasetError("the sound of a clip is missing", where=str(path.with_suffix(".wav")))
    said: dict[str, Spans] = {}
    with readable_text(path, "marks of a clip") as file:
        for number, line in enumerate(file, 1):
            parts = line.split()
            if not parts or parts[0] != "SPEAKER":
                continue
            try:
                begin, length, who = float(parts[3]), float(parts[4]), parts[7]
            except (IndexError, ValueError) as error:
                raise DatasetError(f"line {number} is not a line of an RTTM file", where=str(path)) from error
            if not (math.isfinite(begin + length) and begin >= 0.0 and length > 0.0):
                raise DatasetError(f"line {number} has an impossible time", where=str(path))
            said.setdefault(who, []).append((begin, begin + length))
    for who in sorted(said):
        own = sorted(said[who])
        other = sorted(span for name, spans in said.items() if name != who for span in spans)
        yield SpokenTurns(f"{path.stem}/{who}", sound, silences_of(own, other), tuple(other), tuple(own))


def silences_of(own: Spans, other: Spans) -> tuple[Silence, ...]:
    """After every span of one's own but those within a longer one: until the next; it ends the turn where the other
    speaks before. The last one ends it if the other speaks after it at all.
    """
    out = []
    for i, (_, end) in enumerate(own):
        later = [begin for begin, _ in own[i + 1 :]]
        if any(begin <= end < stop for begin, stop in own) or (later and min(later) <= end):
            continue
        resumes = min(later, default=math.inf)
        takes = min((begin for begin, stop in other if stop > end and begin < resumes), default=math.inf)
        if math.isinf(resumes) and math.isinf(takes):
            continue
        until = resumes if math.isfinite(resumes) else end + 3.0
        if until - end >= LEAST_S:
            out.append(Silence(end, until, math.isfinite(takes)))
    return tuple(out)

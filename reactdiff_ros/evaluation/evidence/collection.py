"""All the evidence for a set of weights in one go: parts one after another, each kept in a file as soon as it is there.

A part whose file is there, made of the same weights with the same settings and code of the model, is not run again, so
that a run that was ended goes on where it was. A part that fails does not end the others.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.evaluation.evidence.bounds import judge
from reactdiff_ros.evaluation.evidence.model_code import model_code
from reactdiff_ros.evaluation.evidence.parts import PARTS, Made, Subject, settings_of
from reactdiff_ros.simulator.dyads import simulator_hash
from reactdiff_ros.whole_file import write_whole

FORMAT: Final = 1
"""Raised when a figure means something else than before: all parts are then measured anew."""
EVIDENCE: Final = "evidence.json"
OTHERS: Final = "evidence_others.json"
"""Beside EVIDENCE in docs: the same weights with another seed."""
PICTURES: Final = "images"
KEPT: Final = "kept"
"""What long parts have found so far."""
Encode = Callable[[Any], str]
"""Strict JSON of figures, NaN as null."""


@dataclass(slots=True)
class Evidence:
    """What was found, and what could not be."""

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Figures by part."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """With what each part was made."""
    seconds: dict[str, float] = field(default_factory=dict)
    """That each part took."""
    failed: dict[str, str] = field(default_factory=dict)
    """A sentence for each part that did not work."""
    machine: dict[str, Any] = field(default_factory=dict)
    """On what the speeds were measured."""


def collect(
    subject: Subject,
    folder: Path,
    *,
    parts: Sequence[str] = tuple(PARTS),
    run: Collection[str] | None = None,
    encode: Encode,
    told: Callable[[str, float], None] = lambda part, share: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Evidence:
    """Run the parts that are not there yet; each is written to `folder`/PART.json when it is done.

    Args:
        subject: the weights, and with what the evidence is made.
        folder: of the files; made if it is not there. A long part keeps in it what it has found so far.
        parts: names of PARTS, in the order in which they are run.
        run: those that may be run (all); the others are taken if they are there, made with earlier code of the model
            too: `assemble` keeps with which.
        encode: figures as JSON.
        told: is told (part, share of it that is done).
        tell: takes one sentence for the user.

    Raises:
        ReactdiffError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(folder, error) from error
    evidence = Evidence(machine=hardware())
    # Of the code that is loaded: what is edited meanwhile makes no figures.
    nods = None if subject.weights.nods is None else subject.weights.nods.digest
    made_by = {"simulator": simulator_hash(), "code": model_code(), "nods": nods, "format": FORMAT}
    subject = replace(subject, made_by=made_by, kept=folder / KEPT)
    for part in parts:
        # As they are read again: JSON has no tuples.
        wanted = json.loads(encode({**settings_of(part, subject), **made_by}))
        may_run = run is None or part in run
        kept = _there(folder / f"{part}.json", wanted, any_code=not may_run)
        if kept is None and not may_run:
            continue
        if kept is None:
            start = subject.timer()
            try:
                made = PARTS[part](subject, lambda share, part=part: told(part, share))  # type: ignore[misc]
            except Exception as error:  # whatever went wrong in one part, the others are worth having
                sentence = str(error) if isinstance(error, ReactdiffError) else f"{type(error).__name__}: {error}"
                evidence.failed[part] = sentence
                tell(f"{part} failed: {sentence}")
                continue
            text = encode({
                "part": part, "settings": wanted, "seconds": subject.timer() - start, "figures": made.figures,
            })  # fmt: skip
            _keep(folder, part, text, made, tell)
            # As it will be read again, so that a run that goes on says what one that did not stop would have said.
            kept = json.loads(text)
        evidence.parts[part], evidence.settings[part] = kept["figures"], kept["settings"]
        if kept.get("seconds") is not None:
            evidence.seconds[part] = kept["seconds"]
        told(part, 1.0)
    return evidence


def _there(path: Path, wanted: dict[str, Any], *, any_code: bool) -> dict[str, Any] | None:
    """What the file holds if it was made with these settings; with `any_code` those of the code may differ."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        of_today = {name: wanted[name] for name in ("code", "nods")} if any_code else {}
        settings = {**kept["settings"], **of_today}
        if settings == wanted and isinstance(kept["figures"], dict):
            return dict(kept)
    return None


def _keep(folder: Path, part: str, text: str, made: Made, tell: Callable[[str], None]) -> None:
    """Write a part and its pictures; what cannot be written is told, and the run goes on with what it has."""
    try:
        write(folder / f"{part}.json", text)
        for draw in made.pictures:
            draw(folder / PICTURES)
    except ReactdiffError as error:
        tell(str(error))
    except Exception as error:  # a picture is no figure: its absence is told, nothing else
        tell(f"a picture of {part} was not drawn: {type(error).__name__}: {error}")


def write(path: Path, text: str) -> None:
    """Write a file of the evidence whole or not at all.

    Raises:
        ReactdiffError: it cannot be written; what was there before stays.
    """
    try:
        write_whole(path, text + "\n")
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> ReactdiffError:
    return ReactdiffError("the evidence cannot be written", where=str(path), todo=str(error.strerror or error))


def assemble(evidence: Evidence, subject: Subject, *, date: str) -> dict[str, Any]:
    """What evidence.json holds: whose figures, how they were made, the figures, and every bound with its verdict."""
    weights = subject.weights
    verdicts = judge(evidence.parts)
    return {
        "format": FORMAT,
        "weights": {
            "name": weights.name, "digest": weights.digest, "simulator": weights.simulator,
            "parameters": weights.parameters,
        },
        "simulator": simulator_hash(), "date": date, "hardware": hardware_line(evidence.machine),
        "settings": evidence.settings, "seconds": evidence.seconds, "parts": evidence.parts, "failed": evidence.failed,
        "bounds": [v.as_dict() for v in verdicts],
        "held": sum(v.holds is True for v in verdicts), "of": len(verdicts),
    }  # fmt: skip


def read_others(path: Path, evidence: dict[str, Any]) -> dict[str, Any]:
    """Evidence of the same weights on other speakers than `evidence`.

    Raises:
        ReactdiffError: it cannot be read, or is of other weights, of the same seed, or of another simulator.
    """
    others = read_evidence(path)
    here, there = evidence["settings"], others["settings"]
    seeds, other_seeds = ({settings.get("seed") for settings in parts.values()} for parts in (here, there))
    same_speakers = all(
        part in here and part in there and here[part].get("simulator") == there[part].get("simulator")
        for part in others["parts"]
    )
    wrong = None
    if others["weights"]["digest"] != evidence["weights"]["digest"]:
        wrong = "it is of other weights"
    elif seeds & other_seeds or None in other_seeds:
        wrong = "it is of the same speakers"
    elif not same_speakers:
        wrong = "it was measured on another simulator"
    if wrong:
        raise ReactdiffError(wrong, where=str(path), todo="run 'reactdiff evaluate evidence --seed 1 --part PART'")
    return others


def hardware_line(machine: dict[str, Any]) -> str:
    """One line on the machine."""
    return (
        f"{machine.get('cpu') or platform.machine()}, {machine.get('cores', '?')} cores, "
        f"{machine.get('memory_gb', '?')} GB, {machine.get('gpu') or 'no GPU'}, Python {machine.get('python', '?')}"
    )


def read_evidence(path: Path) -> dict[str, Any]:
    """What `assemble` gave.

    Raises:
        ReactdiffError: the file is missing, or no evidence of this version.
    """
    todo = "make it with 'reactdiff evaluate evidence'"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        complete = found["format"] == FORMAT and isinstance(found["parts"], dict) and isinstance(found["failed"], dict)
        complete = complete and isinstance(found.get("seconds", {}), dict)
        _ = found["weights"]["digest"], found["simulator"], found["date"], found["hardware"], found["settings"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReactdiffError("the evidence cannot be read", where=str(path), todo=todo) from error
    if not complete:
        raise ReactdiffError("the evidence is of another version", where=str(path), todo=todo)
    return dict(found)

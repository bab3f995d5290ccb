"""Conditions that the operator does not see: veiled on the robot, sealed in the bag, opened with a key kept apart.

The robot's machine must know what it runs. There the settings lie under a *veil*: nobody reads them by accident, and
equal conditions do not look alike; whoever wants to can lift it, for the machine can. The bag holds a *seal*, a
commitment with 256 random bits that the key alone has: from the bag nobody can tell the condition, and nobody, the
analyst included, can change afterwards what it was.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.condition import SALT_BYTES, Condition, Setting, plain, unveil, veil
from reactdiff_ros.recordings.studies.allocation import Session, StudyPlan

FORMAT: Final = 1
SESSIONS_KIND: Final = "reactdiff_ros sessions"
KEY_KIND: Final = "reactdiff_ros key"
SECRET_BYTES: Final = 32
BLOCK: Final = 128
"""Veils are as long as the longest, in whole blocks: their length tells nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the key tells of one session."""

    study: str
    session: str
    participant: str
    position: int
    condition: str
    settings: Mapping[str, Setting]


def seal_of(study: str, session: str, condition: str, settings: Mapping[str, Setting], secret: bytes) -> str:
    """The commitment to what a session runs: HMAC-SHA256 under its secret, in hexadecimal."""
    told = json.dumps([study, session, condition, dict(sorted(settings.items()))], sort_keys=True)
    return hmac.new(secret, told.encode(), hashlib.sha256).hexdigest()


def seal(
    plan: StudyPlan, sessions: Sequence[Session], seed: int, random_bytes: Callable[[int], bytes]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two files of a study, as JSON: the sessions for the robot's machine, and the key for the analyst.

    Args:
        plan: the study.
        sessions: who meets what.
        seed: of the allocation; the key keeps it.
        random_bytes: fresh random bytes, so many.
    """
    drafts = []
    keys: dict[str, dict[str, Any]] = {}
    for session in sessions:
        secret, settings = random_bytes(SECRET_BYTES), plan.conditions[session.condition]
        mark = seal_of(plan.name, session.id, session.condition, settings, secret)
        drafts.append((session, Condition(plan.name, session.id, mark, settings)))
        keys[session.id] = {
            "participant": session.participant, "position": session.position, "condition": session.condition,
            "secret": secret.hex(),
        }  # fmt: skip
    longest = max(len(plain(condition)) for _, condition in drafts)
    width = -(-longest // BLOCK) * BLOCK
    rows = [
        {"session": s.id, "participant": s.participant, "position": s.position, "seal": c.seal,
         "veil": veil(c, width, random_bytes(SALT_BYTES))}
        for s, c in drafts
    ]  # fmt: skip
    public = {"kind": SESSIONS_KIND, "format": FORMAT, "study": plan.name, "design": plan.design, "sessions": rows}
    conditions = {name: dict(settings) for name, settings in plan.conditions.items()}
    key = {"kind": KEY_KIND, "format": FORMAT, "study": plan.name, "design": plan.design, "seed": seed}
    return public, {**key, "conditions": conditions, "sessions": keys}


class SessionsFile:
    """The sessions of a study on the robot's machine.

    Raises:
        ConfigError: the file cannot be read, or is none of sessions.
    """

    def __init__(self, path: Path) -> None:
        told = _read(path, SESSIONS_KIND, "a sessions file of 'reactdiff study seal'")
        self.path, self.study = path, str(told.get("study"))
        rows = told.get("sessions")
        good = isinstance(rows, list) and all(
            isinstance(row, dict) and all(isinstance(row.get(k), str) for k in ("session", "veil")) for row in rows
        )
        if not good:
            raise ConfigError("the sessions file has no sessions", where=str(path))
        self.rows: list[dict[str, Any]] = list(rows or [])

    def veil_of(self, session: str) -> str:
        """The veiled condition of a session. Raises ConfigError where there is no such session."""
        for row in self.rows:
            if row["session"] == session:
                unveil(row["veil"])
                return str(row["veil"])
        raise ConfigError(
            f"the study {self.study} has no session {session!r}", where=str(self.path),
            todo="'reactdiff study sessions' lists them",
        )  # fmt: skip


class Key:
    """What the analyst keeps apart: it opens seals.

    Raises:
        ConfigError: the file cannot be read, or is no key.
    """

    def __init__(self, path: Path) -> None:
        told = _read(path, KEY_KIND, "a key of 'reactdiff study seal'")
        self._path = path
        self.study = str(told.get("study"))
        try:
            self.conditions = {str(n): dict(s) for n, s in told["conditions"].items()}
            self._sessions = {str(id_): _key_row(row) for id_, row in told["sessions"].items()}
            unknown = {row[2] for row in self._sessions.values()} - self.conditions.keys()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError("the key is damaged", where=str(path), todo=f"take its copy ({error!r})") from error
        if unknown:
            raise ConfigError(f"the key knows no condition {min(unknown)}", where=str(path), todo="take its copy")

    def sessions(self) -> list[str]:
        """Ids of all sessions."""
        return list(self._sessions)

    def open(self, study: str, session: str, seal_: str) -> Opened:
        """What a session ran.

        Raises:
            ConfigError: of another study, unknown, or its seal is not the one that this key made.
        """
        if study != self.study:
            raise ConfigError(
                f"this is the study {study or '(none)'}, the key opens {self.study}", where=str(self._path),
                todo="take the key of that study",
            )  # fmt: skip
        if session not in self._sessions:
            raise ConfigError(f"the key has no session {session!r}", where=str(self._path))
        participant, position, condition, secret = self._sessions[session]
        settings = self.conditions[condition]
        if not hmac.compare_digest(seal_of(study, session, condition, settings, secret), seal_):
            raise ConfigError(
                f"the seal of session {session} does not fit the key", where=str(self._path),
                todo="the recording, or the key, is another one or was changed",
            )  # fmt: skip
        return Opened(study, session, participant, position, condition, settings)


def _key_row(row: Mapping[str, Any]) -> tuple[str, int, str, bytes]:
    return str(row["participant"]), int(row["position"]), str(row["condition"]), bytes.fromhex(row["secret"])


def _read(path: Path, kind: str, what: str) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("the file cannot be read", where=str(path), todo=str(error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("the file is not JSON", where=str(path), todo=f"give {what}") from error
    if not isinstance(told, dict) or told.get("kind") != kind:
        raise ConfigError("this is another file", where=str(path), todo=f"give {what}")
    if told.get("format") != FORMAT:
        raise ConfigError(
            f"the file is of format {told.get('format')!r}", where=str(path), todo="it was made by another version"
        )
    return told

"""The journal of a long run: a line for every minute, so that a run that was ended goes on in a new leg.

A leg is one process. Its lines are {"leg", "begun": what it runs with}, {"leg", "minute": ...} for every minute, and
{"leg", "ended": how}; a leg without the last one was killed.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import MediaError, ReactdiffError

KILLED: Final = "killed"
Minute = dict[str, Any]


@dataclass
class Leg:
    """What one process did."""

    number: int
    begun: dict[str, Any]
    """With what it ran."""
    minutes: list[Minute] = field(default_factory=list)
    ended: str = KILLED

    @property
    def seconds(self) -> float:
        """Of the run's own time that it did."""
        return float(sum(minute["seconds"] for minute in self.minutes))


def read_journal(path: Path) -> list[Leg]:
    """The legs so far; none where there is no file. An unfinished last line is what a kill left: it is passed by.

    Raises:
        MediaError: it is no journal, or cannot be read.
    """
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        return _legs([json.loads(line) for line in whole.splitlines()])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise MediaError(
            "this file holds no journal of a long run", where=str(path), todo="move it away, or give another folder"
        ) from error


def _legs(lines: list[dict[str, Any]]) -> list[Leg]:
    legs: list[Leg] = []
    for line in lines:
        if "begun" in line:
            legs.append(Leg(int(line["leg"]), dict(line["begun"])))
        elif "minute" in line:
            float(line["minute"]["seconds"]), dict(line["minute"]["processes"])
            legs[-1].minutes.append(line["minute"])
        else:
            legs[-1].ended = str(line["ended"])
    return legs


class Journal:
    """Writes a leg. See `journal`."""

    def __init__(self, path: Path, descriptor: int, leg: int) -> None:
        self._path, self._descriptor, self.leg = path, descriptor, leg

    def add(self, minute: Mapping[str, Any]) -> None:
        """A minute, which is then safe. Raises ReactdiffError when it cannot be written; the lines before it stay."""
        self._write({"leg": self.leg, "minute": minute})

    def end(self, how: str) -> None:
        """The last line of the leg."""
        self._write({"leg": self.leg, "ended": how})

    def begin(self, begun: Mapping[str, Any]) -> None:
        """The first line of the leg."""
        self._write({"leg": self.leg, "begun": begun})

    def _write(self, line: Mapping[str, Any]) -> None:
        data = (json.dumps(_finite(line), allow_nan=False, separators=(",", ":")) + "\n").encode()
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, end)
            raise _unwritten(self._path, error) from error


@contextmanager
def journal(path: Path, begun: Mapping[str, Any]) -> Iterator[Journal]:
    """Begin a new leg; at the end it is told how it ended: done, stopped, or with which error.

    Raises:
        MediaError: the file is no journal.
        ReactdiffError: it cannot be written, or another process writes it now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ReactdiffError(
                "another long run writes this journal", where=str(path), todo="wait for it, or give another folder"
            ) from error
        legs = read_journal(path)
        _cut_unfinished(path, descriptor)
        writer = Journal(path, descriptor, len(legs) + 1)
        writer.begin(begun)
        try:
            yield writer
        except BaseException as error:
            with suppress(ReactdiffError):
                writer.end(str(error) or type(error).__name__)
            raise
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    """With None for what is no number: one bad figure is no reason to end after hours."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cut_unfinished(path: Path, descriptor: int) -> None:
    """What a kill left of a line would spoil the next one."""
    whole = path.read_bytes().rfind(b"\n") + 1
    if whole < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, whole)


def _unwritten(path: Path, error: OSError) -> ReactdiffError:
    return ReactdiffError(
        f"the journal cannot be written ({error.strerror or error})", where=str(path),
        todo="make room and start it again: it goes on from its last minute",
    )  # fmt: skip

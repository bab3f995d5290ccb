"""A long run and its journal: a line for every minute, so that a run that was ended is resumed in a new leg.

A leg is one process. Its lines are {"leg", "begun": the facts it runs with}, {"leg", "minute": ...} for every minute,
and {"leg", "ended": how}; a leg without the last one was killed.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.avatar.wire import to_json
from reactdiff_ros.errors import MediaError, ReactdiffError, explained
from reactdiff_ros.evaluation.bench.machine import commit

KILLED: Final = "killed"
Minute = dict[str, Any]


@dataclass
class Leg:
    """What one process did."""

    number: int
    begun: dict[str, Any]
    """The facts it ran with."""
    minutes: list[Minute] = field(default_factory=list)
    ended: str = KILLED

    @property
    def seconds(self) -> float:
        """Of the run's own time that it did."""
        return float(sum(minute["seconds"] for minute in self.minutes))


def read_journal(path: Path) -> list[Leg]:
    """The legs so far; none without a file. An unfinished last line is what a kill left: it is skipped.

    Raises:
        MediaError: it is no journal, or cannot be read.
    """
    legs: list[Leg] = []
    if not path.exists():
        return legs
    wrong = (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError)
    what, todo = "this file holds no journal of a long run", "move it away, or give another folder"
    with explained(wrong, what, where=path, todo=todo, error=MediaError):
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for line in map(json.loads, whole.splitlines()):
            if "begun" in line:
                legs.append(Leg(int(line["leg"]), dict(line["begun"])))
            elif "minute" in line:
                float(line["minute"]["seconds"]), dict(line["minute"]["processes"])
                legs[-1].minutes.append(line["minute"])
            else:
                legs[-1].ended = str(line["ended"])
    return legs


@dataclass(frozen=True)
class LongRun:
    """How long a run is, and its journal.

    Args:
        path: of the journal.
        seconds: of the whole run, all legs together, in its own time.
        every_s: length of a minute of the journal, in the same time.
        progress: receives the share done, 0..1.
        log: receives one sentence for every event that a user should know.
        stopped: asked often; True ends the leg.
    """

    path: Path
    seconds: float
    every_s: float = 60.0
    progress: Callable[[float], None] = lambda share: None
    log: Callable[[str], None] = lambda sentence: None
    stopped: Callable[[], bool] = lambda: False

    def resume(self, work: Callable[[OpenLeg], None], **facts: Any) -> bool:
        """Run one more leg, unless the journal holds the whole run.

        Args:
            work: adds minutes to the leg until it is complete, or returns before because it was stopped.
            facts: what the journal records about this leg.

        Returns:
            Whether the run is complete.

        Raises:
            MediaError: the file is no journal.
            ReactdiffError: it cannot be written, or another process writes it now.
            Exception: whatever `work` raises; the journal records it.
        """
        if sum(leg.seconds for leg in read_journal(self.path)) >= self.seconds:
            return True
        with _writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            todo = "wait for it, or give another folder"
            with explained(OSError, "another long run writes this journal", where=self.path, todo=todo):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leg = OpenLeg(self, read_journal(self.path), file)
            os.ftruncate(file, self.path.read_bytes().rfind(b"\n") + 1)  # half a line would spoil the next one
            leg.write(begun={**_surroundings(), **facts})
            try:
                work(leg)
            except BaseException as error:
                with suppress(ReactdiffError):
                    leg.write(ended=str(error) or type(error).__name__)
                raise
            leg.write(ended="done" if leg.complete else "stopped")
            return leg.complete
        finally:
            os.close(file)


class OpenLeg:
    """The leg that is being written to the open `file`, after those `before` it."""

    def __init__(self, run: LongRun, before: Sequence[Leg], file: int) -> None:
        self._run, self._file = run, file
        self.before = before
        self.done_s = sum(leg.seconds for leg in before)
        """Of the whole run, as far as it is written."""

    @property
    def complete(self) -> bool:
        """The whole run is written."""
        return self.done_s >= self._run.seconds

    def add(self, minute: Minute) -> None:
        """Write a minute, which is then safe. Raises ReactdiffError if it cannot be written; the lines before stay."""
        self.write(minute=minute)
        self.done_s += float(minute["seconds"])

    def progress(self, seconds: float) -> None:
        """Report how much is done, with this many seconds since the last minute that was written."""
        self._run.progress((self.done_s + seconds) / self._run.seconds)

    def write(self, **line: Any) -> None:
        """Append one line. Raises ReactdiffError if it cannot be written."""
        # Numbers that are not finite are null: one bad figure is no reason to end after hours.
        data = (to_json({"leg": len(self.before) + 1, **line}) + "\n").encode()
        end = os.lseek(self._file, 0, os.SEEK_END)
        with _writing(self._run.path):
            try:
                written = os.write(self._file, data)
                while written < len(data):
                    written += os.write(self._file, data[written:])
                os.fsync(self._file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, end)
                raise


def _surroundings() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "at": now.isoformat(timespec="seconds"), "commit": commit(Path.cwd()), "nice": os.nice(0),
        "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def _writing(path: Path) -> AbstractContextManager[None]:
    return explained(OSError, "the journal cannot be written (a run resumes after its last minute)", where=path)

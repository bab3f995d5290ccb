"""What a run tells while it goes: a progress bar with the time left, one JSON line a report, TensorBoard."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError

LOG: Final = "log.jsonl"
TENSORBOARD: Final = "tensorboard"


@dataclass(frozen=True, slots=True)
class Progress:
    """How training goes."""

    phase: str
    step: int
    steps: int
    values: dict[str, float] = field(default_factory=dict)
    done: float = 0.0
    """How much of the phase is over, 0..1, by its steps or its budget."""
    left_s: float = float("nan")
    """Estimated seconds to the end of the phase."""
    note: str = ""
    """A sentence for the user, now and then."""


class Logs:
    """Writes `log.jsonl` and, where tensorboard is installed, its event files. A full disk stops neither training
    nor the rest of the logs: it is told once.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = True) -> None:
        self.folder = folder
        self.problem = ""
        self._writer: Any = None
        self._others_hook: Callable[[threading.ExceptHookArgs], Any] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LOG).open("a", encoding="utf-8")
        except OSError as error:
            raise ReactdiffError("the run's folder cannot be written", where=str(folder), todo=str(error)) from error
        if tensorboard:
            with suppress(ImportError):
                from torch.utils.tensorboard import SummaryWriter

                self._others_hook, threading.excepthook = threading.excepthook, self._in_thread
                try:
                    self._writer = SummaryWriter(str(folder / TENSORBOARD))
                except OSError as error:
                    self._told(error)

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, progress: Progress) -> None:
        """One report."""
        record = {"phase": progress.phase, "step": progress.step, "steps": progress.steps, **progress.values}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            self._told(error)
        if self._writer is None:
            return
        try:
            for name, value in progress.values.items():
                self._writer.add_scalar(f"{progress.phase}/{name}", value, progress.step)
        except OSError as error:  # raised for an earlier event that its own thread could not write
            self._writer = None
            self._told(error)

    def close(self) -> None:
        """Close all files."""
        with suppress(OSError):
            self._file.close()
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
        if self._others_hook is not None:
            for thread in filter(_is_tensorboards, threading.enumerate()):
                thread.join(1.0)  # one that fails just now is to find our hook
            threading.excepthook, self._others_hook = self._others_hook, None

    def _in_thread(self, failed: threading.ExceptHookArgs) -> None:
        """What TensorBoard's thread could not write is told as a sentence, not as a trace; all else goes its way."""
        if _is_tensorboards(failed.thread) and isinstance(failed.exc_value, OSError):
            self._told(failed.exc_value)
        elif self._others_hook is not None:
            self._others_hook(failed)

    def _told(self, error: OSError) -> None:
        if not self.problem:
            self.problem = f"the logs cannot be written any more ({self.folder}): {error.strerror or error}"


def _is_tensorboards(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.split(".")[0] == "tensorboard"


def clock_face(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss; "?" when unknown."""
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

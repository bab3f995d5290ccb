"""Decoding and perceiving a recording: here, or ahead of the listener in a second process."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.recordings.bags.read import BagSource, open_source
from reactdiff_ros.recordings.replay.events import merged, told_in
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.senses import Event, Recording, Sensed, sense
from reactdiff_ros.recordings.replay.threads import in_thread
from reactdiff_ros.recordings.replay.timeline import Steady

if TYPE_CHECKING:
    from reactdiff_ros.recordings.replay.replay import Tally

AFTER_NS: Final = 100_000_000
"""A replay goes on for so long after the last event: until it has acted."""
_BATCH: Final = 16
_DECODED: Final = 24
"""So many pictures and sounds are decoded before they are needed."""


@dataclass(frozen=True, slots=True)
class _Begin:
    """The other process has opened the recording."""

    length_s: float


@dataclass(frozen=True, slots=True)
class _End:
    """The other process has come to the recording's end."""

    strays: int
    jump_s: float
    broken: str
    oddities: list[str]


def open_recording(path: Path, settings: ReplaySettings | None = None) -> Recording:
    """A media file or a bag, of which `settings` names the topics.

    Raises:
        MediaError: it cannot be read, or holds neither pictures nor sound.
        ModuleNotFoundError: it is a bag, and `rosbags` is not installed.
    """
    settings = settings or ReplaySettings()
    return open_source(path, settings.picture, settings.sound)


def sensed_here(
    recording: Recording,
    settings: ReplaySettings,
    tally: Tally,
    timer: Callable[[], float],
    decode_ahead: bool = False,
) -> Iterator[Sensed]:
    """What is perceived in a recording, in this process; with `decode_ahead` it is decoded in another thread.

    A recording that breaks off ends there, with the reason in `tally.broken`.

    Raises:
        MediaError: nothing of it can be decoded.
    """
    steady = Steady()
    tally.length_s = recording.duration_s
    told = told_in(recording, settings)
    items = recording.pictures_and_sound()
    line = merged(in_thread(items, _DECODED) if decode_ahead else items, told)
    events = _until_broken(steady.of(line), steady, tally)
    sensed = sense(
        events, SpeakerPerception(settings.perception), settings.session,
        after_ns=AFTER_NS, timer=timer, damaged=lambda: recording.damaged_packets,
    )  # fmt: skip
    try:
        yield from sensed
    finally:
        tally.strays, tally.jump_s = steady.strays, steady.jump_s
        tally.oddities = recording.notes if isinstance(recording, BagSource) else []


def _until_broken(events: Iterator[Event], steady: Steady, tally: Tally) -> Iterator[Event]:
    try:
        yield from events
    except MediaError as error:
        if steady.newest_ns is None:
            raise
        tally.broken = str(error)


def sensed_ahead(path: Path, settings: ReplaySettings, tally: Tally) -> Iterator[Sensed]:
    """The same from a second process, which works ahead as far as a pipe holds.

    Raises:
        MediaError: as `open_recording` and `sensed_here`.
        ReactdiffError: the process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, path, settings), daemon=True)
    # Ctrl-C goes to both, and this process ends the other one. A blocked signal stays blocked in what is started, so
    # that it does not end during its imports; only the start of multiprocessing's own helper unblocks it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    try:
        while True:
            try:
                message = ours.recv()
            except EOFError:
                raise ReactdiffError(
                    "the process that reads the recording ended unexpectedly", where=str(path),
                    todo="is there enough memory? Try again with --processes 1",
                ) from None  # fmt: skip
            if isinstance(message, Exception):
                raise message
            if isinstance(message, _Begin):
                tally.length_s = message.length_s
                continue
            if isinstance(message, _End):
                tally.strays, tally.jump_s, tally.broken = message.strays, message.jump_s, message.broken
                tally.oddities = message.oddities
                return
            yield from message
    finally:
        ours.close()
        process.terminate()
        process.join()


def _work(pipe: Connection, path: Path, settings: ReplaySettings) -> None:
    from reactdiff_ros.recordings.replay.replay import Tally

    tally, batch = Tally(), []
    try:
        try:
            recording = open_recording(path, settings)
            pipe.send(_Begin(recording.duration_s))
            for item in sensed_here(recording, settings, tally, time.perf_counter, decode_ahead=True):
                batch.append(item)
                if len(batch) >= _BATCH:
                    pipe.send(batch)
                    batch = []
        except ReactdiffError as error:
            pipe.send(error)
            return
        pipe.send(batch)
        pipe.send(_End(tally.strays, tally.jump_s, tally.broken, tally.oddities))
    except BrokenPipeError:
        pass  # nobody wants to know more

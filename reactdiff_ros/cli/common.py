"""What commands share: options, output, errors, a progress bar, signals, and voice banks."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from reactdiff_ros.errors import ConfigError, MissingExtraError, ReactdiffError, printable

if TYPE_CHECKING:
    from reactdiff_ros.simulator.voices import VoiceBank

Command = TypeVar("Command", bound=Callable[..., Any])
EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_MISSING = 0, 1, 2, 3
EXIT_STOPPED = 130
"""Stopped by Ctrl-C before the work was complete: a command that follows with && does not start."""


class Number(click.FloatRange):
    """A finite number within bounds, as an option takes it. click's own type lets NaN through all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error where it is none."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
PATH = click.Path(path_type=Path)
SEEDS = click.IntRange(0, 2**31 - 1)

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
SEED = click.option("--seed", type=SEEDS, default=0, help="Seed of all random numbers.")
MODEL = click.option("--model", type=FOLDER, metavar="DIR", show_default="the shipped weights",
                     help="Folder that 'reactdiff dev export' wrote.")  # fmt: skip
NAMESPACE = click.option("--namespace", metavar="NAME", help="ROS namespace of the listener.")
LAN = click.option("--lan", is_flag=True, help="Also discover nodes on other machines, started with --lan.")
EMOTIONS = click.option("--emotions", type=Number(0.0, 1.0), default=0.0, metavar="SHARE",
                        help="Share of simulated speakers who have emotional episodes.")  # fmt: skip
VOICES = click.option(
    "--voices", type=FILE, help="Voice bank of synthesised speech; created if missing (parametric voices)."
)


def options(*parts: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """These options as one decorator, in this order in the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(parts):
            command = option(command)
        return command

    return decorate


TOPICS = options(
    click.option("--camera-topic", "--picture", "picture", metavar="TOPIC", default="", show_default="found by type",
                 help="Camera topic of the bag; none = no pictures."),
    click.option("--audio-topic", "--sound", "sound", metavar="TOPIC", default="", show_default="found by type",
                 help="Microphone topic of the bag; none = no sound."),
)  # fmt: skip


def ros_namespace(text: str | None) -> str:
    """A namespace as ROS writes it: "" or "/name"."""
    name = (text or "").strip("/")
    return f"/{name}" if name else ""


def assignment(word: str) -> tuple[str, str]:
    """A launch argument NAME:=VALUE. Raises click.UsageError if it is not of that form."""
    name, separator, value = word.partition(":=")
    if not separator or not name:
        raise click.UsageError(f"{word!r} is not NAME:=VALUE, such as record:=true")
    return name, value


def finite(value: Any) -> Any:
    """`value` with NaN and infinities as None, numpy scalars and arrays as Python's own, in all depths."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON: what is not finite is null; what JSON does not know (paths) is text."""
    return json.dumps(finite(value), allow_nan=False, default=str, ensure_ascii=False, indent=indent)


@contextmanager
def json_on_stdout(enabled: bool, *, indented: bool = False) -> Iterator[dict[str, Any]]:
    """Yields the dictionary to fill; with `enabled`, it is the only thing that reaches stdout.

    Libraries print to file descriptor 1 as they like: until the end, it points to stderr. `indented`: without
    `enabled`, the dictionary is printed as well, for people.
    """
    result: dict[str, Any] = {}
    if not enabled:
        yield result
        if indented:
            echo(dumps(result, indent=2))
        return
    stdout = sys.stdout
    stdout.flush()
    real = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield result
    finally:
        with suppress(OSError, ValueError):
            stdout.flush()
        os.dup2(real, 1)
        os.close(real)
    echo(dumps(result), file=stdout)
    stdout.flush()


class Output(dict[str, Any]):
    """What a command found: printed as JSON with --json, otherwise in words for people (`say`)."""

    as_json = False

    def say(self, text: str, *, nl: bool = True) -> None:
        """Print a text for people."""
        if not self.as_json:
            echo(text, nl=nl)


def reporting(function: Callable[..., int | None]) -> Callable[..., int]:
    """Makes a command of a function that fills the `Output` that it is given first, and adds the option --json.

    The function may return an exit code.
    """

    @wraps(function)
    def command(as_json: bool, **given: Any) -> int:
        result = Output()
        result.as_json = as_json
        with json_on_stdout(as_json) as printed:
            code = function(result, **given)
            printed.update(result)
        return EXIT_DONE if code is None else code

    return JSON(command)


def figures(function: Callable[..., dict[str, Any]]) -> Callable[..., int]:
    """Makes a command of a function that returns figures: with --json one object on stdout, else indented.

    The command fails if the figure `held` is false.
    """

    @wraps(function)
    def command(result: Output, **given: Any) -> int:
        result.update(function(**given))
        result.say(dumps(result, indent=2))
        return EXIT_ERROR if result.get("held") is False else EXIT_DONE

    return reporting(command)


def echo(text: str, *, err: bool = False, nl: bool = True, file: IO[str] | None = None) -> None:
    """Print: what a user's file holds of control characters does not reach the terminal as such."""
    click.echo(printable(text), file=file, err=err, nl=nl)


def log(sentence: str) -> None:
    """One sentence for the user, on stderr."""
    with suppress(OSError):
        echo(f"reactdiff: {sentence}", err=True)


@contextmanager
def writing(what: str, path: object) -> Iterator[None]:
    """An OSError within the block becomes a ReactdiffError: "`what` cannot be written", with path and reason."""
    try:
        yield
    except OSError as error:
        raise ReactdiffError(f"{what} cannot be written", where=str(path), todo=error.strerror or str(error)) from error


@contextmanager
def usage_errors(kind: type[Exception] = ConfigError) -> Iterator[None]:
    """An error of this kind within the block becomes a usage error with the same sentence."""
    try:
        yield
    except kind as error:
        raise click.UsageError(str(error)) from error


def write_text(what: str, path: Path, text: str) -> None:
    """Write a text file whole or not at all, and log it. Raises ReactdiffError as `writing`."""
    from reactdiff_ros.whole_file import write_whole

    with writing(what, path):
        write_whole(path, text)
    log(f"wrote {path}")


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that takes the completed share, 0..1. The bar on stderr shows the time left."""
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(max(round(1000 * min(share, 1.0)) - bar.pos, 0))


AGAIN_S: Final = 1.0
"""A signal that follows another one within this time is a copy of it: a terminal and a launcher (`ros2 launch`,
`timeout`) both send SIGINT for one Ctrl-C."""
STOP_SIGNALS: Final = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


class Press:
    """Tells a new Ctrl-C from a copy of the last one. `clock`: steady, s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = float("-inf")

    def is_copy(self) -> bool:
        """Whether the signal that has just arrived is a copy."""
        now_s = self._clock()
        if now_s - self._last_s < AGAIN_S:
            return True
        self._last_s = now_s
        return False


_press = Press()


def interrupt(number: int, frame: FrameType | None) -> None:
    """As Python's own handler of SIGINT. A copy is ignored: it would interrupt the cleanup after the first."""
    if not _press.is_copy():
        raise KeyboardInterrupt


def catch_interrupts() -> None:
    """Use `interrupt` for SIGINT, unless this process was started with SIGINT ignored, as a shell's background jobs."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)


@contextmanager
def stop_signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Within the block, `handler` receives SIGINT, SIGTERM and SIGHUP."""
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class StopFlag:
    """Set by the first SIGINT, SIGTERM or SIGHUP; long work checks it and ends cleanly."""

    def __init__(self) -> None:
        self.set = False
        self._press = Press()
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.set = self.set or not self._press.is_copy()


def voice_bank(path: Path | None) -> VoiceBank | None:
    """The bank at `path`, made first if it does not exist; without one voices are parametric.

    Raises:
        MissingExtraError: it has to be made, and espeak-ng is not installed.
        ReactdiffError: it cannot be read, made or written.
    """
    from reactdiff_ros.simulator.voices import load_bank

    if path is None:
        return None
    make_voices(path)
    return load_bank(path)


def make_voices(path: Path) -> None:
    """Make a voice bank at `path`, whole or not at all, unless something exists there. Errors as `voice_bank`."""
    from reactdiff_ros.simulator.voices import make_bank
    from reactdiff_ros.whole_file import whole_path

    if os.path.lexists(path):
        return
    if shutil.which("espeak-ng") is None:
        todo = "apt install espeak-ng, or name an existing bank"
        raise MissingExtraError(f"espeak-ng, to make the voice bank {path}", todo)
    with writing("the voice bank", path), whole_path(path) as part:  # a folder that refuses it does so before the work
        log(f"making the voice bank {path}, once: about a minute")
        with progress_bar("voices") as show:
            make_bank(part, progress=lambda done, count: show(done / max(count, 1)))

"""What commands share: options, output, errors, a progress bar, signals, and voice banks."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from reactdiff_ros.errors import ConfigError, MissingExtraError, explained, one_of, printable
from reactdiff_ros.plain_json import finite
from reactdiff_ros.resources import require_tools

if TYPE_CHECKING:
    from reactdiff_ros.simulator.voices import VoiceBank

    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # generic from click 8.2 on
Command = TypeVar("Command", bound=Callable[..., Any])
EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_MISSING = 0, 1, 2, 3
TYPED: Final = click.core.ParameterSource.COMMANDLINE
EXIT_STOPPED = 130
"""Stopped by Ctrl-C before the work was complete: a command that follows with && does not start."""


class Number(click.FloatRange):
    """A finite number within bounds, as an option takes it. click's own type lets NaN through all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error where it is not one."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Choice(_Choice):
    """One of some names. click's own type lists all of them where one is misspelt."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name; a usage error with the one that is meant."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is unknown: {one_of(str(value), self.choices)}", param, ctx)


class Group(click.Group):
    """A group whose help shows whole sentences, where click cuts them to the width of the terminal.

    Args:
        checkout: names of its commands that only a checkout has (tools/commands.py).
    """

    def __init__(self, *args: Any, checkout: Collection[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.checkout = checkout

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """As click does. Raises MissingExtraError for a command that only a checkout has."""
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name in self.checkout:
            require_tools()
        return command

    def sections(self) -> dict[str, Sequence[click.Command]]:
        """The commands that the help lists, by title."""
        return {"Commands": [command for _, command in sorted(self.commands.items()) if not command.hidden]}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section."""
        for title, commands in self.sections().items():
            with formatter.section(title):
                formatter.write_dl([(str(c.name), c.get_short_help_str(limit=80)) for c in commands])


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


def renamed(old: str, new: str, name: str, **attributes: Any) -> Callable[[Command], Command]:
    """The option `new`, which sets the parameter `name`, also by its old name until the next release, with a note."""

    def decorate(function: Command) -> Command:
        @wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            if before := given.pop(f"old_{name}"):
                log(f"{old} is now {new}: the old name works until the next release")
                given[name] = before
            return function(*args, **given)

        decorated: Any = click.option(old, f"old_{name}", hidden=True, **attributes)(command)
        return decorated  # type: ignore[no-any-return]

    return decorate


TOPICS = options(
    click.option("--camera-topic", "picture", metavar="TOPIC", default="", show_default="found by type",
                 help="Camera topic of the bag; none = no pictures."),
    click.option("--audio-topic", "sound", metavar="TOPIC", default="", show_default="found by type",
                 help="Microphone topic of the bag; none = no sound."),
    renamed("--picture", "--camera-topic", "picture"),
    renamed("--sound", "--audio-topic", "sound"),
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


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON: what is not finite is null; what JSON does not know (paths) is text."""
    return json.dumps(finite(value), allow_nan=False, default=str, ensure_ascii=False, indent=indent)


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """A table of texts; the columns in `left` are left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [f"<{w}" if i in left else f">{w}" for i, w in enumerate(widths)]
    lines = ("  ".join(f"{cell:{side}}" for cell, side in zip(row, sides, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


MOST_VALUES: Final = 8
"""Longer lists of numbers are summarised for people."""


def table(figures: dict[str, Any]) -> str:
    """Figures for people, under the names that they have in JSON; a few that belong together share a line."""
    return aligned([*_lines(finite(figures))], left=(0, 1))


def _lines(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        small = len(value) <= MOST_VALUES and not any(isinstance(part, (dict, list)) for part in value.values())
        if name and small:
            yield name, _joined((key, _words(part)) for key, part in value.items())
        else:
            for key, part in value.items():
                yield from _lines(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, part in enumerate(value, 1):
            yield f"{name}.{number}", _joined(_lines(part))
    else:
        yield name, _words(value)


def _joined(lines: Iterable[tuple[str, str]]) -> str:
    return ", ".join(map(" ".join, lines))


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    if isinstance(value, list) and len(value) > MOST_VALUES and not isinstance(value[0], str):
        known = [v for v in value if isinstance(v, (int, float))]
        return f"{len(value)} values" + (f", {_words(min(known))} to {_words(max(known))}" if known else "")
    if isinstance(value, list) and value:
        return ", ".join(map(_words, value))
    return "-" if value in (None, "", [], {}) else str(value)


@contextmanager
def json_on_stdout(enabled: bool, *, as_table: bool = False) -> Iterator[dict[str, Any]]:
    """Yields the dictionary to fill; with `enabled`, it is the only thing that reaches stdout.

    Libraries print to file descriptor 1 as they like: until the end, it points to stderr. `as_table`: without
    `enabled`, the dictionary is printed as a table.
    """
    result: dict[str, Any] = {}
    if not enabled:
        yield result
        if as_table:
            echo(table(result))
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
    """Makes a command of a function that returns figures: with --json one object on stdout, else a table.

    The command fails if the figure `held` is false.
    """

    @wraps(function)
    def command(result: Output, **given: Any) -> int:
        result.update(function(**given))
        result.say(table(result))
        return EXIT_ERROR if result.get("held") is False else EXIT_DONE

    return reporting(command)


def echo(text: str, *, err: bool = False, nl: bool = True, file: IO[str] | None = None) -> None:
    """Print: what a user's file holds of control characters does not reach the terminal as such."""
    click.echo(printable(text), file=file, err=err, nl=nl)


def log(sentence: str) -> None:
    """One sentence for the user, on stderr."""
    with suppress(OSError):
        echo(f"reactdiff: {sentence}", err=True)


def writing(what: str, path: object) -> AbstractContextManager[None]:
    """An OSError within the block becomes a ReactdiffError: "`what` cannot be written", with path and reason."""
    return explained(OSError, f"{what} cannot be written", where=path)


def check_writable(what: str, path: Path) -> None:
    """Before long work: make the folder of a file. Raises ReactdiffError, as `writing`, if it cannot be written."""
    with writing(what, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def usage_errors(kind: type[Exception] = ConfigError) -> Iterator[None]:
    """An error of this kind within the block becomes a usage error, which names the option that was typed."""
    try:
        yield
    except kind as error:
        raise click.UsageError(_with_option(str(error))) from error


def _with_option(sentence: str) -> str:
    """A sentence about a parameter or argument of the nodes, by its option if the user set it with one."""
    found, context = re.match(r"the (?:argument|parameter) (\w+)", sentence), click.get_current_context(silent=True)
    if found is not None and context is not None and context.get_parameter_source(found[1]) is TYPED:
        option = next(o.opts[0] for o in context.command.params if o.name == found[1])
        return option + sentence[found.end() :]
    return sentence


def write_text(what: str, path: Path, text: str) -> None:
    """Write a text file whole or not at all, and log it. Raises ReactdiffError as `writing`."""
    from reactdiff_ros.whole_file import write_whole

    with writing(what, path):
        write_whole(path, text)
    log(f"wrote {path}")


LINE_S: Final = 60.0


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that takes the completed share, 0..1. The bar on stderr shows the time left.

    Without a terminal, there is a line a minute instead.
    """
    if not sys.stderr.isatty():
        due_s = time.monotonic() + LINE_S

        def show(share: float) -> None:
            nonlocal due_s
            if time.monotonic() >= due_s:
                log(f"{label}: {share:.0%}")
                due_s = time.monotonic() + LINE_S

        yield show
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(max(round(1000 * min(share, 1.0)) - bar.pos, 0))


AGAIN_S: Final = 1.0
"""A signal that follows another one within this time is a copy of it: a terminal and a launcher (`ros2 launch`,
`timeout`) both send SIGINT for one Ctrl-C."""
STOP_SIGNALS: Final = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


class Press:
    """Distinguishes a new Ctrl-C from a copy of the last one."""

    def __init__(self) -> None:
        self._last_s = float("-inf")

    def is_copy(self) -> bool:
        """Whether the signal that has just arrived is a copy."""
        now_s = time.monotonic()
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

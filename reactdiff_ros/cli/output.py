"""What every command shares: one JSON object on stdout, one sentence for a user's error, exit codes, numbers."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, Any

import click

from reactdiff_ros.errors import ReactdiffError, printable

EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_MISSING = 0, 1, 2, 3
EXIT_STOPPED = 130
"""Ended by Ctrl-C before its end: what is to follow with && does not begin."""


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
def json_on_stdout(enabled: bool) -> Iterator[dict[str, Any]]:
    """Yields the dictionary to fill; with `enabled`, it is the only thing that reaches stdout.

    Libraries print to file descriptor 1 as they like: until the end, it points to stderr.
    """
    result: dict[str, Any] = {}
    if not enabled:
        yield result
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


def echo(text: str, *, err: bool = False, nl: bool = True, file: IO[str] | None = None) -> None:
    """Print: what a user's file holds of control characters does not reach the terminal as such."""
    click.echo(printable(text), file=file, err=err, nl=nl)


def tell(sentence: str) -> None:
    """One sentence for the user, on stderr."""
    with suppress(OSError):
        echo(f"reactdiff: {sentence}", err=True)


class Number(click.FloatRange):
    """A finite number within bounds, as an option takes it. click's own type lets NaN through all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error where it is none."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


@contextmanager
def writing(what: str, path: object) -> Iterator[None]:
    """Whatever cannot be written within is a sentence: "`what` cannot be written", with its path and the reason.

    Raises:
        ReactdiffError: in the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ReactdiffError(f"{what} cannot be written", where=str(path), todo=error.strerror or str(error)) from error

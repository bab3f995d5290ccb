"""The one family of errors that a user is meant to read: what happened, where, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tab and line feed; and the marks that turn the direction of writing."""

LONGEST: Final = 800
"""Characters of what is wrong that are shown whole."""


def printable(text: str) -> str:
    r"""`text` with every control character as its code (\u001b), which is also how JSON writes it."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shortened(text: str) -> str:
    """`text` without its middle where it is too long to read: it may quote a value of any length."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} [...] {text[-LONGEST // 4 :]}"


def one_of(name: str, known: Iterable[str], other: str = "") -> str:
    """What to do about an unknown name: the known one that is meant, or all of them, and what `other` may be given."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, 1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}{other and f', or {other}'}"


class ReactdiffError(Exception):
    """An error with one clear sentence for the user.

    Args:
        what: what is wrong, without a full stop ("the clip cannot be opened").
        where: the file, device, topic or key concerned.
        todo: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        sentence = shortened(what) + (f" ({shortened(where)})" if where else "") + (f": {todo}" if todo else "")
        super().__init__(printable(sentence))


class DeviceError(ReactdiffError):
    """A camera, microphone, bus or port is missing, busy or gone; the caller retries."""


class MediaError(ReactdiffError):
    """A media file or stream cannot be read, or lacks what was asked of it."""


class MessageError(ReactdiffError):
    """A message from outside is malformed and was dropped."""


class WeightsError(ReactdiffError):
    """Model weights are missing, unreadable or not the ones their card names."""


class MissingExtraError(ReactdiffError):
    """Something optional is not installed; a command ends with exit code 3. `todo`: what to type."""

    def __init__(self, name: str, todo: str) -> None:
        super().__init__(f"{name} is not installed", todo=todo)


class ConfigError(ReactdiffError):
    """A setting is unknown, of the wrong type or out of range."""


def reason_of(error: BaseException) -> str:
    """What an error of the system or of a library says, in its first line."""
    text = getattr(error, "strerror", None) or next(iter(str(error).strip().splitlines()), "")
    return str(text)[:300] or type(error).__name__


@contextmanager
def explained(
    kinds: type[BaseException] | tuple[type[BaseException], ...], what: str, *, where: object = "", todo: str = "",
    error: type[ReactdiffError] = ReactdiffError,
) -> Iterator[None]:  # fmt: skip
    """Errors of these `kinds` in the block become one sentence for the user, an `error`.

    `todo`: what the user can do; by default it is the reason that the system or the library gives.
    """
    try:
        yield
    except kinds as caught:
        raise error(what, where=str(where), todo=todo or reason_of(caught)) from caught

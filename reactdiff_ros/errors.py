"""The one family of errors that a user is meant to read: what happened, where, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reactdiff_ros.printable import printable


def one_of(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the known one that is meant, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, 1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"


class ReactdiffError(Exception):
    """An error with one clear sentence for the user.

    Args:
        what: what is wrong, without a full stop ("the clip cannot be opened").
        where: the file, device, topic or key concerned.
        todo: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        sentence = what + (f" ({where})" if where else "") + (f": {todo}" if todo else "")
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

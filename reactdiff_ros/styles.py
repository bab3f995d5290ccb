"""Named styles of listening, the ranges of every control, and how a ListenerControl changes what is in force.

Styles come from the package's `config/styles.yaml` and from a file of the user's own, whose entries go first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ConfigError, explained, one_of
from reactdiff_ros.plain_yaml import parse_yaml
from reactdiff_ros.resources import share_path
from reactdiff_ros.settings import RANGES as RANGES
from reactdiff_ros.settings import format_problem, is_number, setting, user_folder, written_path
from reactdiff_ros.style_words import described
from reactdiff_ros.types import ListenerControl
from reactdiff_ros.whole_file import file_state, write_whole

LISTENER_CONTROLS: Final = ("attitude", "responsiveness", "smiling", "nodding", "liveliness", "delay_s")
"""Those that the listener obeys; the rest are gains that the expression room applies to any listener's plan."""
EXPRESSION_CONTROLS: Final = tuple(name for name in RANGES if name not in LISTENER_CONTROLS)
REFERENCE_COUNT: Final = 8
"""Statistics of a reference listener, see `model.diffusion.conditions.STYLE_NAMES`."""
REFERENCE_LIMIT: Final = 4.0
DEFAULT_STYLE: Final = "natural"
FORMAT: Final = 1
"""Version of the files of styles; `format: 1` may stand in one."""


def control(name: str, about: str, *, unit: str = "1") -> Any:
    """A dataclass field for the start value of a control: NaN (taken from the style) unless given."""
    low, high = RANGES[name]
    return setting(math.nan, f"{about}. Unset: taken from the style.", unit=unit, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Style:
    """The settings of style in force. Ranges and units as in `ListenerControl`, but never NaN."""

    name: str = DEFAULT_STYLE
    attitude: float = 0.0
    responsiveness: float = 0.0
    smiling: float = 0.0
    nodding: float = 0.0
    liveliness: float = 0.0
    delay_s: float = 0.0
    intensity: float = 1.0
    stillness: float = 0.0
    upper_face: float = 1.0
    lower_face: float = 1.0
    head: float = 1.0
    resting: tuple[tuple[str, float], ...] = ()
    """The resting face of this style: (coefficient name, 0..0.3), shown while it listens."""
    reference: tuple[float | None, ...] = ()
    """What a person's listening measured, in the order of `model.diffusion.conditions.STYLE_NAMES`; None where it was
    not observed, empty where the style has no reference."""

    def settings(self, controls: tuple[str, ...] = tuple(RANGES)) -> dict[str, float | str]:
        """The effective values of these controls by name, for status and diagnostics."""
        return {"style": self.name, **{name: float(getattr(self, name)) for name in controls}}


class StyleBook(Mapping[str, Style]):
    """The named styles by name. The files are read once more when a name is looked up that is unknown or the user's
    file is not the one that was read, so that a style that was saved meanwhile is found as it is now; a file that is
    broken by then takes no known style away.

    Args:
        user: the user's own file; missing: the package's styles alone.

    Raises:
        ConfigError: a file cannot be read or is malformed; also when an unknown name is looked up.
    """

    def __init__(self, user: Path) -> None:
        self._user = user
        self._state = file_state(user)
        self._styles = self._load()

    def __getitem__(self, name: str) -> Style:
        """The style of that name, or of that description in words; KeyError when it is neither.

        Raises:
            ConfigError: a description of which no word is known.
        """
        state = file_state(self._user)
        if name not in self._styles or state != self._state:
            try:
                self._styles, self._state = self._load(), state
            except ConfigError:
                if name not in self._styles:
                    raise
        if name not in self._styles and " " in name.strip():
            return replace(Style(name), **described(name).controls)  # type: ignore[arg-type]
        return self._styles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._styles)

    def __len__(self) -> int:
        return len(self._styles)

    def _load(self) -> dict[str, Style]:
        styles = load_styles()
        if self._user.exists():
            styles |= load_styles(self._user)
        return styles


def user_styles_path() -> Path:
    """Where a user's own styles are kept unless a file is named: `styles.yaml` in the folder of configuration."""
    return user_folder("CONFIG") / "styles.yaml"


def style_book(styles_file: str) -> StyleBook:
    """The package's styles and those of `styles_file` ("": `user_styles_path`, if it is there).

    Raises:
        ConfigError: the named file is missing, or a file cannot be read or is malformed.
    """
    if not styles_file:
        return StyleBook(user_styles_path())
    path = written_path(styles_file)
    if not os.path.isfile(path):  # a text of any length
        raise ConfigError("the file of styles is missing", where=styles_file, todo="see 'reactdiff style learn --help'")
    return StyleBook(path)


def load_styles(path: Path | None = None) -> dict[str, Style]:
    """The named styles of `path` (default: the package's `config/styles.yaml`).

    Raises:
        ReactdiffError: the package's own file is missing.
        ConfigError: `path` cannot be read, is not valid YAML, or names an unknown setting or a value out of range.
    """
    path = path or share_path("config/styles.yaml")
    with explained((OSError, UnicodeDecodeError), "the styles cannot be read", where=path, error=ConfigError):
        return parse_styles(path.read_text(encoding="utf-8"), str(path))


def parse_styles(text: str, where: str) -> dict[str, Style]:
    """The named styles of a file's text; none of an empty one. Raises ConfigError as `load_styles` does."""
    with explained(yaml.YAMLError, "the styles cannot be read", where=where, error=ConfigError):
        table = parse_yaml(text)
    table = {} if table is None else table
    if isinstance(table, dict) and not isinstance(table.get("format", {}), dict):  # a style may have that name
        problem = format_problem(table["format"], FORMAT)
        if problem is not None:
            raise ConfigError(f"the format of the styles {problem[0]}", where=where, todo=problem[1])
        table = {name: entry for name, entry in table.items() if name != "format"}
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ConfigError("the styles are not a table of named settings", where=where)
    return {str(name): _style(str(name), entry, where) for name, entry in table.items()}


def save_style(path: Path, name: str, entry: Mapping[str, Any], *, replace: bool = False) -> None:
    """Add a named style to a user's file, which is made if it is missing and written whole or not at all.

    Args:
        path: the file.
        name: of the style.
        entry: its settings as in the file.
        replace: whether a style of that name may be overwritten; its file loses its comments then.

    Raises:
        ConfigError: the name is empty or taken, the entry or the file is malformed, or the file cannot be written.
    """
    if not name.strip():
        raise ConfigError("a style needs a name", where=str(path))
    with explained((OSError, UnicodeDecodeError), "the style cannot be saved", where=path, error=ConfigError):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        styles = parse_styles(text, str(path))
        if not replace and (name in styles or name in load_styles()):
            raise ConfigError("there is a style of this name", where=name, todo="give another name, or --force")
        new = yaml.safe_dump({name: dict(entry)}, sort_keys=False, allow_unicode=True, default_flow_style=None)
        joined = f"{text.rstrip()}\n\n{new}".lstrip()
        if name in styles or not _holds(joined, {*styles, name}):
            table = {**(parse_yaml(text) or {}), name: dict(entry)}
            joined = yaml.safe_dump(table, sort_keys=False, allow_unicode=True, default_flow_style=None)
        parse_styles(joined, str(path))
        write_whole(path, joined)


def _holds(text: str, names: set[str]) -> bool:
    try:
        return set(parse_styles(text, "")) == names
    except ConfigError:
        return False


def apply_control(style: Style, control: ListenerControl, styles: Mapping[str, Style]) -> Style:
    """`style` after `control`: its named style first, then its numbers, clipped to their ranges; NaN changes nothing.

    Raises:
        ConfigError: the control names a style that is not in `styles`; nothing is changed then.
    """
    if control.style:
        name = control.style if control.style in styles else control.style.lower()
        if name not in styles:
            raise ConfigError("unknown style", where=control.style, todo=one_of(control.style, styles))
        style = styles[name]
    values = {name: getattr(control, name) for name in RANGES}
    given = {n: min(max(float(v), RANGES[n][0]), RANGES[n][1]) for n, v in values.items() if not math.isnan(v)}
    return replace(style, **given)  # type: ignore[arg-type]


def merged(before: ListenerControl, after: ListenerControl) -> ListenerControl:
    """Two controls in one: `apply_control` of it gives what that of `before` and then of `after` gives."""
    if after.style:
        return after
    return replace(before, **{n: v for n in RANGES if not math.isnan(v := getattr(after, n))})


def _style(name: str, entry: dict[str, Any], where: str) -> Style:
    values: dict[str, float] = {}
    for key, value in entry.items():
        if key in ("about", "resting", "reference"):
            continue
        if key not in RANGES:
            raise ConfigError(f"unknown setting {key!r} of style {name!r}", where=where)
        low, high = RANGES[key]
        values[key] = _number(value, low, high, f"{key} of style {name!r}", where)
    resting = entry.get("resting") or {}
    if not isinstance(resting, dict) or any(key not in INDEX for key in resting):
        raise ConfigError(f"resting of style {name!r} must name coefficients", where=where)
    face = tuple((key, _number(value, 0.0, 0.3, f"{key} of style {name!r}", where)) for key, value in resting.items())
    reference = _reference(entry.get("reference"), name, where)
    return replace(Style(name=name, resting=face, reference=reference), **values)  # type: ignore[arg-type]


def _reference(values: object, name: str, where: str) -> tuple[float | None, ...]:
    if values is None:
        return ()
    what = f"reference of style {name!r}"
    if not isinstance(values, list) or len(values) != REFERENCE_COUNT:
        raise ConfigError(f"{what} is not a list of {REFERENCE_COUNT} numbers", where=where)
    limit = REFERENCE_LIMIT
    return tuple(None if v is None else _number(v, -limit, limit, what, where) for v in values)


def _number(value: object, low: float, high: float, what: str, where: str) -> float:
    if not is_number(value) or not low <= value <= high:
        raise ConfigError(f"{what} is not a number in range", where=where, todo=f"give {low:g} to {high:g}")
    return float(value)

"""What a study's bag tells about itself, kept in `custom_data` of rosbag2's metadata (ROS 2 jazzy and newer)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PREFIX: Final = "reactdiff."


@dataclass(frozen=True, slots=True)
class Event:
    """A moment that the experimenter marked."""

    stamp_ns: int
    name: str
    """What happened: "condition B begins"."""


@dataclass(frozen=True, slots=True)
class Study:
    """One session of a study, or one run of a replay.

    Every value is a string in the bag: numbers and lists are JSON. A key that another program added is left alone.
    """

    session_id: str
    consent: bool | None = None
    """The person agreed to be recorded; None: unknown."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What was set, by "node.parameter"."""
    weights: str = ""
    """SHA-256 of the model's weights; empty: no model."""
    seed: int | None = None
    events: tuple[Event, ...] = ()
    study: str = ""
    """Name of the study whose condition was hidden; empty: nothing was."""
    seal: str = ""
    """Random text for that condition; the key of the study opens it (`studies.blinding`)."""

    def to_custom_data(self) -> dict[str, str]:
        """The strings that the bag keeps; the same study gives the same strings."""
        values = {
            "session_id": self.session_id,
            "consent": "" if self.consent is None else json.dumps(self.consent),
            "parameters": json.dumps(dict(self.parameters), sort_keys=True, ensure_ascii=False, default=str),
            "weights": self.weights,
            "seed": "" if self.seed is None else str(self.seed),
            "events": json.dumps([[e.stamp_ns, e.name] for e in self.events], ensure_ascii=False),
        }
        if self.seal:
            values |= {"study": self.study, "seal": self.seal}
        return {PREFIX + name: value for name, value in values.items()}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "session_id": self.session_id,
            "consent": self.consent,
            "parameters": dict(self.parameters),
            "weights": self.weights,
            "seed": self.seed,
            "events": [{"stamp_ns": e.stamp_ns, "name": e.name} for e in self.events],
            "study": self.study,
            "seal": self.seal,
        }


def study_of(custom_data: Mapping[str, Any]) -> Study | None:
    """The study that a bag's custom data describe; None where there is none. What cannot be read is left out."""
    values = {key[len(PREFIX) :]: str(value) for key, value in custom_data.items() if str(key).startswith(PREFIX)}
    if "session_id" not in values:
        return None
    consent = _json(values.get("consent", ""))
    parameters = _json(values.get("parameters", ""))
    events = _json(values.get("events", ""))
    seed = _json(values.get("seed", ""))
    return Study(
        session_id=values["session_id"],
        consent=consent if isinstance(consent, bool) else None,
        parameters=parameters if isinstance(parameters, dict) else {},
        weights=values.get("weights", ""),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        events=tuple(
            Event(int(e[0]), str(e[1]))
            for e in (events if isinstance(events, list) else [])
            if isinstance(e, list) and len(e) == 2 and isinstance(e[0], int)
        ),
        study=values.get("study", ""),
        seal=values.get("seal", ""),
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

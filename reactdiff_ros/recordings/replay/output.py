"""A replay written as a bag: speaker frames, faces and plans on the recording's stamps, with what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reactdiff_ros import __version__
from reactdiff_ros.clock import to_ns
from reactdiff_ros.messages import fill_candidates
from reactdiff_ros.recordings.bags import interfaces
from reactdiff_ros.recordings.bags.read import BagSource
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter, Storage
from reactdiff_ros.recordings.replay.parameters import ReplaySettings
from reactdiff_ros.recordings.replay.replay import Step, Tally
from reactdiff_ros.recordings.replay.senses import Recording
from reactdiff_ros.types import Reaction

_CANDIDATES: Final = "/listener/reaction/candidates"


class ReplayBag(BagWriter):
    """The bag of a replay that goes on. The same replay gives the same bytes.

    If the replay breaks, what is written stays in `partial`, as a bag that says that it is not complete.

    Args:
        path: folder to create.
        recording: what is replayed.
        settings: who listens and how.
        parameters: in force, by node and name, for the record.
        storage: mcap or sqlite3.
        plans: write the listener's plans as well.

    Raises:
        MediaError: there is something at `path`, or it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        recording: Recording,
        settings: ReplaySettings,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        storage: Storage = "mcap",
        plans: bool = False,
    ) -> None:
        self._plans = plans
        self._latency_ns = to_ns(settings.session.picture_latency_s)
        self._replayed = _study(recording, settings, parameters or {})
        super().__init__(path, storage=storage, study=self._replayed, keep_partial=True)

    def write(self, step: Step) -> None:
        """Write what came of one event, in the order in which the graph would publish it.

        Raises:
            MediaError: the disk is full.
        """
        calls: list[tuple[int, int, Any]] = [(face.stamp_ns, 2, face) for face in step.faces]
        calls += [(min(step.now_ns, frame.stamp_ns + self._latency_ns), 0, frame) for frame in step.speaker]
        if self._plans:
            calls += [(min(step.now_ns, plan.start_ns), 1, plan) for plan in step.reactions]
        for log_ns, kind, value in sorted(calls, key=lambda call: call[:2]):
            if kind == 0:
                self.speaker(value, log_ns=log_ns)
            elif kind == 1:
                self.reaction(replace(value, compute_s=0.0), log_ns=log_ns)
                self._candidates(value, log_ns)
            else:
                self.expression(value)

    def _candidates(self, plan: Reaction, log_ns: int) -> None:
        if plan.candidates is not None:
            message = interfaces.empty(interfaces.CANDIDATES)
            fill_candidates(message, plan)
            self.message(_CANDIDATES, log_ns, message)

    def describe(self, tally: Tally, complete: bool) -> None:
        """Record how the replay went, before the bag is closed; `complete`: neither stopped nor broken off."""
        backend = tally.state.backend if tally.state else ""
        about = {
            "replay.complete": complete,
            "replay.done_s": round(tally.done_s, 3),
            "replay.notes": tally.notes(),
            "replay.backend": backend,
        }
        parameters = {**self._replayed.parameters, **about}
        self.study = replace(self._replayed, parameters=parameters, weights=backend.partition("@")[2])


def _study(recording: Recording, settings: ReplaySettings, parameters: Mapping[str, Mapping[str, Any]]) -> Study:
    """The recording's own study, if it has one, with this replay's parameters."""
    known = recording.study if isinstance(recording, BagSource) else None
    values = {f"{node}.{name}": value for node, own in parameters.items() for name, value in own.items()}
    values |= {
        "replay.of": recording.path.name,
        "replay.version": __version__,
        "replay.policy": settings.policy,
        "replay.own_voice": settings.own_voice,
        "replay.operator": settings.operator,
    }
    study = known or Study(session_id=recording.path.stem)
    return replace(study, parameters=values, seed=settings.seed, weights="")

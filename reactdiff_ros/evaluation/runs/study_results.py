"""Result files of `evaluate simulator` and `evaluate dyads`: the same figures, speaker by speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, SMILE
from reactdiff_ros.evaluation.baselines import Material, Streams
from reactdiff_ros.evaluation.metrics import coupling as measures
from reactdiff_ros.evaluation.metrics.react import speaker_diversity
from reactdiff_ros.evaluation.results import Figure, Info, Item, Metric, Result, Role, System
from reactdiff_ros.evaluation.runs.scoring import CURVES
from reactdiff_ros.evaluation.studies.dyads import Calls, Table
from reactdiff_ros.evaluation.studies.simulator import Scores
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

_ROLES: dict[str, Role] = {
    "model": "listener", "shuffled": "control", "oracle": "reference", "ground_truth": "reference", "real": "reference",
}  # fmt: skip
_DYADS = (
    Metric("smile_coupling", "C, smile coupling", better="people", text="Mean over lags of 0.3 to 2 s; .10 to .30."),
    Metric("p", "p", better="lower", text="Of so large a C when speakers are permuted across pairs."),
    Metric("D_marg", "D_marg", better="lower", text="Distance of five smile statistics from the real listeners'."),
)


@dataclass(slots=True)
class SimulatorFile:
    """Collects what `studies.simulator.evaluate` scores."""

    systems: list[System] = field(default_factory=list)
    material: Material | None = None
    shown: dict[str, dict[str, FloatArray]] = field(default_factory=dict)

    def keep(self, name: str, material: Material, streams: Streams) -> None:
        """One system's streams for the first speakers, before they are dropped."""
        if streams.faces is not None:
            self.shown[name] = {_speaker(n): face for n, face in enumerate(streams.faces[:CURVES])}

    def take(self, name: str, material: Material, scores: Scores) -> None:
        """One system's figures."""
        self.material = material
        figures = {"FRDvs": Figure(speaker_diversity(scores.distances))}
        self.systems.append(
            System(
                name,
                _ROLES.get(name, "baseline"),
                values=scores.values,
                figures=figures,
                streams=self.shown.pop(name, {}),
            )
        )

    def result(self, info: Info) -> Result:
        """What the file holds."""
        assert self.material is not None
        known = self.material
        seconds = known.frames / REACTION_RATE_HZ
        items = tuple(
            _curves(Item(_speaker(n), seconds, source="simulator"), known.perceived, n) for n in range(known.items)
        )
        subject = next((s.name for s in self.systems if s.role == "listener"), "")
        head = replace(info, data="Simulated speakers that no training has met", seeds={"set": known.seed})
        return Result(replace(head, subject=subject), items, tuple(self.systems))


def dyads_result(table: Table, calls: Calls, info: Info, seed: int) -> Result:
    """The result file of a table of `studies.dyads`; a row's figures are told for each recorded listener."""
    seconds = calls.speaker.camera.shape[1] / REACTION_RATE_HZ
    items = tuple(
        _curves(
            Item(
                r.name, seconds, group=r.pair, source=r.source,
                truth=_truth(r.listener, r.observed) if n < CURVES else None,
            ), calls.speaker, n,
        )
        for n, r in enumerate(calls.recordings)
    )  # fmt: skip
    systems = []
    for name, shown in table.smiles.items():
        told: Mapping[str, float] = table.figures[name]
        cross = measures.cross_coupling(calls.speaker_smile, shown)
        # D_marg of the real listeners is of one half against the other.
        figures = {"p": Figure(float(told["p"])), "D_marg": Figure(float(told["D_marg"]))}
        values = {"smile_coupling": np.diag(cross).astype(np.float64)}
        note = str(told.get("note", ""))
        streams = {r.name: _smiling(row) for r, row in zip(calls.recordings[:CURVES], shown, strict=False)}
        role = _ROLES.get(name, "baseline")
        systems.append(System(name, role, note=note, values=values, figures=figures, streams=streams))
    subject = "model" if "model" in table.smiles else ""
    head = replace(
        info, data=f"{len(calls.pairs)} pairs of people in recorded calls", people=True, subject=subject,
        seeds={"run": seed},
    )  # fmt: skip
    return Result(head, items, tuple(systems), _DYADS)


def _speaker(n: int) -> str:
    return f"speaker{n:04d}"


def _smiling(au12: NDArray[np.float64]) -> FloatArray:
    """A smile (T,) as a face (T, 58) of which nothing else is known."""
    face = np.full((len(au12), COEFFICIENT_COUNT), np.nan, dtype=np.float32)
    face[:, list(SMILE)] = np.clip(au12 / measures.AU12_OF_SMILE, 0, 1)[:, None]
    return face


def _truth(values: FloatArray, observed: object) -> FloatArray:
    return np.where(np.asarray(observed, dtype=bool), values, np.nan).astype(np.float32)


def _curves(item: Item, batch: SpeakerBatch, n: int) -> Item:
    """The item with what was perceived of speaker `n`, where its curves are kept."""
    if n >= CURVES:
        return item
    seen = (batch.confidence[n] > 0) & batch.mesh[n][:, None]
    speech = np.where(batch.microphone[n], batch.speech_probability[n], np.nan)
    shown = np.where(seen, batch.coefficients[n], np.nan)
    return replace(item, speaker=shown.astype(np.float32), speech=speech.astype(np.float32))

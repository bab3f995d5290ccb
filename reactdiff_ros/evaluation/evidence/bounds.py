"""The bounds that a set of weights is held to: one table, from which the page and the console's summary are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reactdiff_ros.evaluation.evidence.verdicts import Bound, Figures, Found, Verdict, verdict
from reactdiff_ros.evaluation.metrics.coupling import C_BAND, D_LIMIT, P_LIMIT
from reactdiff_ros.evaluation.studies.response_bench import NATURAL_EXCESS, NEGATIVE_SHARE, PLACEBO_RATE, POSITIVE_RATE
from reactdiff_ros.evaluation.studies.sessions import CLAMP_LIMIT, FORGOTTEN, POSE_LIMIT, RATIO_BAND
from reactdiff_ros.evaluation.studies.simulator import BANDS
from reactdiff_ros.evaluation.studies.streams_check import REFLEXES, WITHIN
from reactdiff_ros.evaluation.studies.sweeps import sweep_rises, sweeps_in


def judge(parts: Mapping[str, Figures]) -> list[Verdict]:
    """Every bound on the figures by part; those of a part that is not there are not measured."""
    return [verdict(bound, parts.get(bound.part, {})) for bound in BOUNDS]


def _at(*path: str) -> Callable[[Figures], Found]:
    """The figure at a path of names."""

    def find(figures: Figures) -> Found:
        value: Any = figures
        for name in path:
            value = value[name]
        return {"": value}

    return find


def _each(*path: str, of: str = "", without: tuple[str, ...] = ()) -> Callable[[Figures], Found]:
    """Every entry of the table at a path of names, or the figure `of` in each of them."""

    def find(figures: Figures) -> Found:
        table: Any = figures
        for name in path:
            table = table[name]
        return {name: row[of] if of else row for name, row in table.items() if name not in without}

    return find


def _bands(figures: Figures) -> Found:
    table = figures["bands_over_reference"]["raw"]
    return {
        f"{group}, {band}": ratio
        for band, ratios in table.items()
        for group, ratio in ratios.items()
        if group not in REFLEXES
    }


def _over(first: tuple[str, ...], second: tuple[str, ...]) -> Callable[[Figures], Found]:
    """Ratio of two figures."""

    def find(figures: Figures) -> Found:
        top, bottom = _at(*first)(figures)[""], _at(*second)(figures)[""]
        return {"": float(top) / float(bottom) if top is not None and bottom else None}

    return find


def _ends(figures: Figures) -> Found:
    """Both ends of the interval of every ratio of a long session; None for a ratio that has none."""
    out: dict[str, float | None] = dict.fromkeys(figures.get("not_judged", ()))
    for name, row in figures["ratios"].items():
        ends = {f"{name}, {end} end": row[end] for end in ("low", "high")}
        out |= ends if None not in ends.values() else {name: None}
    return out


def _head(figures: Figures) -> Found:
    """Both ends of the interval of how far each angle of the head has moved in a long session, over its s.d."""
    return {f"{name}, {end} end": row[end] for name, row in figures["pose"].items() for end in ("low", "high")}


def _early(figures: Figures) -> Found:
    """Excess of the bin around 0 over the most that chance does, without precursors."""
    out = {}
    for setting, by_precursors in figures["lags"].items():
        row = by_precursors["without_precursors"]["bins"]["within_200_ms"]
        out[setting] = row["excess"] - row["chance_high"]
    return out


def _rising(figures: Figures) -> Found:
    """Whether each sweep rises at every step, and as a whole with its interval."""
    return {
        f"{of}, {name}" if of else f"{name}: {part['measure']}": sweep_rises(part)
        for of, name, part in sweeps_in(figures)
    }


_TOGETHER = "held together with the others, because FRC and FRD both reward a dull, certain face"
_PEOPLE = "recorded people: real partner .19, random pairing .01"
_SMALL = "one core of a small computer has room for the rest of the graph"

BOUNDS: Final[tuple[Bound, ...]] = (
    Bound("simulator", "skill in FRC", _at("skill", "FRC"), _TOGETHER, *BANDS["FRC"]),
    Bound(
        "simulator", "skill in FRC, lower bound", _at("skill", "FRC_low"), _TOGETHER, BANDS["FRC_low"][0],
        strict=True,
    ),
    Bound("simulator", "skill in FRD", _at("skill", "FRD"), _TOGETHER, *BANDS["FRD"]),
    Bound("simulator", "FRDiv over the oracle's", _at("skill", "FRDiv_ratio"), _TOGETHER, *BANDS["FRDiv_ratio"]),
    Bound("simulator", "FRVar over the oracle's", _at("skill", "FRVar_ratio"), _TOGETHER, *BANDS["FRVar_ratio"]),
    Bound(
        "simulator", "skill in pose", _at("skill", "pose"),
        "the 25 attributes hold no head; what of it is chance stands below", *BANDS["pose"],
    ),
    Bound(
        "simulator", "FRD over the mime's", _over(("model", "FRD"), ("mime", "FRD")), "a mirror is no listener",
        high=1.0, strict=True,
    ),
    Bound("simulator", "the mime keeps all bands", _at("bands", "mime", "all"), "a mirror must fail", 0, 0),
    Bound(
        "simulator", "the mean listener keeps all bands", _at("bands", "listener_mean", "all"),
        "a dull face must fail", 0, 0,
    ),
    Bound("dyads", "C, coupling of smiles", _at("model", "C"), _PEOPLE, *C_BAND),
    Bound(
        "dyads", "p, speakers permuted", _at("model", "p"), "it listens to this speaker, not to any", high=P_LIMIT,
        strict=True,
    ),
    Bound(
        "dyads", "D_marg, smiles as people's", _at("model", "D_marg"),
        "real pairs against real pairs: mean .36, 95th percentile .60", high=D_LIMIT,
    ),
    Bound("dyads", "the random pairing passes", _at("random", "passes"), "a stranger's listener must fail", 0, 0),
    Bound("dyads", "the mime passes", _at("mime", "passes"), "a mirror must fail", 0, 0),
    Bound(
        "response", "natural: excess of answers to a smile", _at("natural", "excess"),
        "people: 10 to 13 points, of 25 with chance; more is asked, as a robot is judged by its visible answers",
        *NATURAL_EXCESS,
    ),
    Bound(
        "response", "responsive and positive: answers", _at("responsive_positive", "rate"),
        "an operator's choice must be visible", POSITIVE_RATE,
    ),
    Bound(
        "response", "negative over positive answers", _over(("negative", "rate"), ("responsive_positive", "rate")),
        "attitude must be visible", high=NEGATIVE_SHARE,
    ),
    Bound(
        "response", "placebos: answers", _at("placebo", "rate"), "a moved head or a lost frame is no smile",
        high=PLACEBO_RATE,
    ),
    Bound(
        "response", "excess rises with the smile's size", _at("excess_rises_with_size"),
        "it sees the smile and not only a change", 1, 1,
    ),
    Bound(
        "response", "nods answer cues: excess, lower end of its 95 % interval", _each("nods", of="excess_low"),
        "a cue asks for a nod; how often simulated listeners follow stands below", 0.0, strict=True,
    ),
    Bound(
        "response", "wiring: frames from what is seen to what is told", _at("wiring", "frames_late_most"),
        "the condition changes at the next frame", high=1,
    ),
    Bound(
        "behaviour", "lags: +-200 ms without precursors, over what chance does", _early,
        "nobody answers before having seen", high=0.0,
    ),
    Bound(
        "behaviour", "reliance on the speaker, smile, lower bound", _at("reliance", "smile", "low"),
        "its past alone could make a plausible face", 0.0, strict=True,
    ),
    Bound(
        "behaviour", "reliance on the speaker, face, lower bound", _at("reliance", "face", "low"),
        "its past alone could make a plausible face", 0.0, strict=True,
    ),
    Bound(
        "streams", "variance over ancestral sampling", _each("variance", "raw_over_ancestral", without=REFLEXES),
        "streaming must not change the distribution", *WITHIN["variance"],
    ),
    Bound(
        "streams", "autocorrelation off ancestral sampling",
        _each("autocorrelation", "raw_to_ancestral", without=REFLEXES), "streaming must not change the distribution",
        high=WITHIN["autocorrelation"][1],
    ),
    Bound(
        "streams", "rare events over ancestral sampling", _each("events_over_ancestral", of="ratio"),
        "streaming must not change the distribution", *WITHIN["events"],
    ),
    Bound(
        "streams", "jerk at borders of plans over inside", _each("border_jerk", "shown", without=REFLEXES),
        "no seam may be seen", high=WITHIN["jerk"][1],
    ),
    Bound(
        "streams", "difference of consecutive plans over the spread of candidates",
        _each("plan_difference", without=REFLEXES), "a plan that changes its mind looks nervous",
        high=WITHIN["plans"][1],
    ),
    Bound(
        "streams", "power in three bands over the reference's, before smoothing", _bands,
        "neither frozen nor trembling", *WITHIN["bands"],
    ),
    Bound(
        "controls", "every sweep rises, step by step and as a whole with its 95 % interval", _rising,
        "each control does what it says", 1, 1,
    ),
    Bound(
        "choice", "variance with choice over without", _each("variance", without=REFLEXES),
        "choosing must not make a duller face", 0.9, 1.1,
    ),
    Bound(
        "choice", "smiles a minute with choice over without", _at("smile_rate"),
        "choosing must not make a duller face", 0.9, 1.1,
    ),
    Bound("sessions", "last part over the second, 95 % intervals", _ends, "nothing drifts", *RATIO_BAND),
    Bound(
        "sessions", "where the head is held, last part from the second over its s.d., 95 % intervals", _head,
        "nothing drifts; a mean near 0 has no ratio", -POSE_LIMIT, POSE_LIMIT, strict=True,
    ),
    Bound("sessions", "share of frames at a clamp", _at("clamped"), "nothing saturates", high=CLAMP_LIMIT),
    Bound(
        "sessions", "left of an extreme history after 10 s", _at("forgetting", "left"), "it recovers", high=FORGOTTEN,
        strict=True,
    ),
    Bound("autoencoder", "active units of each group", _each("active_units"), "no group of latents has collapsed", 1),
    Bound("speed", "one frame through the encoder, median ms", _at("encoder_frame_ms", "p50"), _SMALL, high=1.0),
    Bound("speed", "a plan with one candidate, median ms", _at("plan_ms", "1", "p50"), _SMALL, high=40.0),
    Bound("speed", "a plan with ten candidates, median ms", _at("plan_ms", "10", "p50"), _SMALL, high=160.0),
    Bound(
        "speed", "parameters, millions", lambda f: {"": sum(f["parameters"].values()) / 1e6 or None}, _SMALL,
        high=8.0,
    ),
)  # fmt: skip
"""All of them, in the order in which they are told."""

"""The bounds that a set of weights must keep: one table of part, name, how to read the value, reason and range."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reactdiff_ros.coefficients import REFLEXES
from reactdiff_ros.evaluation.metrics.bootstrap import sweep_rises, sweeps_in
from reactdiff_ros.model.diffusion.latents import GROUPS

Figures = Mapping[str, Any]
Found = Mapping[str, float | bool | None]
"""Measured values by the name of what they were measured on; "" where there is only one."""
Find = Callable[[Figures], Found]
"""Reads the values of a bound from the figures of its part."""


# The limits themselves; studies judge their own figures by them too.
C_BAND: Final = (0.10, 0.30)
P_LIMIT: Final = 0.01
D_LIMIT: Final = 0.45
BANDS: Final[dict[str, tuple[float, float]]] = {
    "FRC": (0.6, math.inf), "FRC_low": (0.4, math.inf), "FRD": (0.75, 1.1), "FRDiv_ratio": (0.8, 1.25),
    "FRVar_ratio": (0.8, 1.25), "pose": (0.4, math.inf),
}  # fmt: skip
"""What a listener has to reach, all together: bounds of its skills and of its ratios to the oracle."""
NATURAL_EXCESS: Final = (0.08, 0.30)
POSITIVE_RATE: Final = 0.70
NEGATIVE_SHARE: Final = 0.5
"""Of the natural rate, at most."""
PLACEBO_RATE: Final = 0.05
AMBIVALENT_SHARE: Final = 0.5
AMBIVALENT_CONCERN: Final = 0.15
RATIO_BAND: Final = (0.8, 1.25)
POSE_LIMIT: Final = 0.25
"""The head is held where it was: mean pitch, yaw and roll move by less than this much of their s.d."""
CLAMP_LIMIT: Final = 0.005
FORGOTTEN: Final = 0.05
WITHIN: Final = {
    "variance": (0.9, 1.1), "autocorrelation": (0.0, 0.1), "events": (0.8, 1.2), "jerk": (0.0, 1.1),
    "plans": (0.0, 0.25), "bands": (0.7, 1.4),
}  # fmt: skip
"""Bounds of each kind of figure of free-running streams."""
REFLEX_GROUPS: Final = tuple(g.name for g in GROUPS if set(g.coefficients) <= set(REFLEXES))
"""Groups that reflexes replace at run time: no bound is put on their streams, but on the rate of blinks."""


def passes(c: float, p: float, d: float) -> bool:
    """All three: C within .10 to .30, p < .01, D_marg at most .45."""
    return C_BAND[0] <= c <= C_BAND[1] and p < P_LIMIT and d <= D_LIMIT


@dataclass(frozen=True, slots=True)
class Bound:
    """The range that a figure must keep, and why."""

    part: str
    name: str
    find: Find
    why: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    """The ends of the range are outside."""
    short: str = ""
    """Its name in the study's own "within_bounds"; "": it is not there."""

    def text(self) -> str:
        """The range in words; "yes" and "no" for 1 and 0."""
        if self.low == self.high:
            return "yes" if self.low == 1 else "no" if self.low == 0 else f"{self.low:g}"
        if math.isinf(self.high):
            return f"{'above' if self.strict else 'at least'} {self.low:g}"
        if math.isinf(self.low):
            return f"{'below' if self.strict else 'at most'} {self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def excess(self, value: float) -> float:
        """How far `value` is outside, relative to the larger end; at most 0 inside."""
        if not math.isfinite(value):
            return math.inf
        scale = max(abs(end) for end in (self.low, self.high) if math.isfinite(end)) or 1.0
        return max(self.low - value, value - self.high) / scale

    def holds(self, value: float) -> bool:
        """Whether `value` is inside; a value that is not finite is not."""
        excess = self.excess(value)
        return excess < 0 if self.strict else excess <= 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound and the measured values."""

    bound: Bound
    value: float | None
    """The value farthest outside; None where nothing was measured."""
    of: str
    """What that value was measured on, where there are several."""
    holds: bool | None
    """For all measured values; None: nothing was measured."""
    unknown: tuple[str, ...] = ()
    """What was not measured."""
    out: int = 0
    """How many measured values are outside."""
    count: int = 0
    """How many values were measured."""

    @property
    def word(self) -> str:
        """The verdict in one word or two."""
        return {True: "pass", False: "**fail**", None: "not measured"}[self.holds]

    @property
    def measured(self) -> str:
        """The value farthest outside, how many are outside, and what was not measured."""
        if self.value is None:
            return "nothing"
        shown = figure(bool(self.value) if self.bound.text() in ("yes", "no") else self.value)
        outside = f"; {self.out} of {self.count} fail" if self.out and self.count > 1 else ""
        shown += f" ({self.of}{outside})" if self.of else ""
        return f"{shown}; not measured: {', '.join(self.unknown)}" if self.unknown else shown

    def as_dict(self) -> dict[str, Any]:
        """For evidence.json and soak.json."""
        return {
            "part": self.bound.part, "name": self.bound.name, "bound": self.bound.text(), "why": self.bound.why,
            "value": self.value, "of": self.of, "holds": self.holds,
            "unknown": list(self.unknown), "out": self.out, "count": self.count,
        }  # fmt: skip


def verdict(bound: Bound, figures: Figures) -> Verdict:
    """Judge one bound on the figures of its part."""
    try:
        found = {name: _number(value) for name, value in bound.find(figures).items()}
    except (KeyError, TypeError, AttributeError):
        found = {}
    known = {name: value for name, value in found.items() if value is not None}
    unknown = tuple(name for name, value in found.items() if value is None and name)
    if not known:
        return Verdict(bound, None, "", None, unknown)
    worst = max(known, key=lambda name: bound.excess(known[name]))
    out = sum(not bound.holds(value) for value in known.values())
    return Verdict(bound, known[worst], worst, not out, unknown, out, len(known))


def passed(verdicts: Sequence[Verdict]) -> str:
    """How many of the bounds pass, and how many were not measured, as a sentence."""
    held, unknown = (sum(v.holds is value for v in verdicts) for value in (True, None))
    return f"{held} of {len(verdicts)} bounds pass" + (f", {unknown} not measured." if unknown else ".")


def figure(value: float | bool | None, digits: int = 3) -> str:
    """A figure with `digits` significant digits, "yes" or "no", or "none" for None."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value and abs(value) < 10.0**-digits:
        return f"{value:.1e}"
    text = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    return "0" if text in ("-0", "0") else text


def _number(value: float | bool | None) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)


def judge(parts: Mapping[str, Figures]) -> list[Verdict]:
    """The verdict on every bound; bounds of a part that is missing are not measured."""
    return [verdict(bound, parts.get(bound.part, {})) for bound in BOUNDS]


def judge_study(part: str, figures: Figures) -> dict[str, Verdict]:
    """The verdicts of a study on its own figures, by the short names of the bounds."""
    return {bound.short: verdict(bound, figures) for bound in BOUNDS if bound.part == part and bound.short}


def at(path: str, without: tuple[str, ...] = ()) -> Find:
    """Reads the figures at a path of names joined by dots: `*` is every name but `without`, `a|b` both a and b."""

    def find(figures: Figures) -> Found:
        found: dict[str, Any] = {"": figures}
        for name in path.split("."):
            several = name == "*" or "|" in name
            found = {
                f"{before}, {key}".removeprefix(", ") if several else before: table[key]
                for before, table in found.items()
                for key in (table if name == "*" else name.split("|"))
                if key not in without
            }
        return found

    return find


def over(top: str, bottom: str) -> Find:
    """The ratio of the figures at two paths."""

    def find(figures: Figures) -> Found:
        above, below = at(top)(figures)[""], at(bottom)(figures)[""]
        return {"": float(above) / float(below) if above is not None and below else None}

    return find


def _ratios(figures: Figures) -> Found:
    """Both interval ends of every ratio of a long session; None for what was too rare to have a ratio."""
    return {**at("ratios.*.low|high")(figures), **dict.fromkeys(figures.get("not_judged", ()))}


def _early(figures: Figures) -> Found:
    """Excess of smiles within 200 ms over the most that chance explains, without precursors."""
    bins = at("lags.*.without_precursors.bins.within_200_ms")(figures)
    return {setting: row["excess"] - row["chance_high"] for setting, row in bins.items()}  # type: ignore[index]


def _rising(figures: Figures) -> Found:
    """Whether each sweep rises at every step, and as a whole with its interval."""
    return {
        f"{of}, {name}" if of else f"{name}: {part['measure']}": sweep_rises(part)
        for of, name, part in sweeps_in(figures)
    }


_TOGETHER: Final = "must pass together: FRC and FRD alone reward a dull, certain face"
_PEOPLE: Final = "recorded people: real partner .19, random pairing .01"
_PAST: Final = "its own past alone could produce a plausible face"
_STREAMING: Final = "streaming must not change the distribution"
_SMALL: Final = "leaves room for the rest of the graph on one core of a small computer"

BOUNDS: Final[tuple[Bound, ...]] = (
    Bound("simulator", "skill in FRC", at("skill.FRC"), _TOGETHER, *BANDS["FRC"]),
    Bound("simulator", "skill in FRC, lower end", at("skill.FRC_low"), _TOGETHER, BANDS["FRC_low"][0], strict=True),
    Bound("simulator", "skill in FRD", at("skill.FRD"), _TOGETHER, *BANDS["FRD"]),
    Bound("simulator", "FRDiv over the oracle's", at("skill.FRDiv_ratio"), _TOGETHER, *BANDS["FRDiv_ratio"]),
    Bound("simulator", "FRVar over the oracle's", at("skill.FRVar_ratio"), _TOGETHER, *BANDS["FRVar_ratio"]),
    Bound("simulator", "skill in pose", at("skill.pose"), "the 25 attributes contain no head pose", *BANDS["pose"]),
    Bound("simulator", "FRD over the mime's", over("model.FRD", "mime.FRD"), "a mirror is not a listener",
          high=1.0, strict=True),
    Bound("simulator", "the mime passes all bands", at("bands.mime.all"), "a mirror must fail", 0, 0),
    Bound("simulator", "the mean listener passes all bands", at("bands.listener_mean.all"), "a dull face must fail",
          0, 0),
    Bound("dyads", "C, coupling of smiles", at("model.C"), _PEOPLE, *C_BAND),
    Bound("dyads", "p, speakers permuted", at("model.p"), "it must listen to this speaker, not to any speaker",
          high=P_LIMIT, strict=True),
    Bound("dyads", "D_marg, smile statistics against people's", at("model.D_marg"),
          "real pairs against real pairs: mean .36, 95th percentile .60", high=D_LIMIT),
    Bound("dyads", "the random pairing passes", at("random.passes"), "someone else's listener must fail", 0, 0),
    Bound("dyads", "the mime passes", at("mime.passes"), "a mirror must fail", 0, 0),
    Bound("response", "natural: excess of answers to a smile", at("natural.excess"),
          "people: 10 to 13 points above chance; a robot needs more, because only visible answers count",
          *NATURAL_EXCESS, short="natural excess .08 to .30"),
    Bound("response", "responsive and positive: answers", at("responsive_positive.rate"),
          "the operator's choice must be visible", POSITIVE_RATE, short="responsive and positive at least .70"),
    Bound("response", "negative over natural answers", over("negative.rate", "natural.rate"),
          "the attitude must be visible", high=NEGATIVE_SHARE, short="negative at most half of natural"),
    Bound("response", "placebos: answers", at("placebo.rate"), "a moved head or a lost frame is not a smile",
          high=PLACEBO_RATE, short="placebos at most .05"),
    Bound("response", "ambivalent over sincere smiles: excess of answers", at("ambivalent_smiles.*.over_sincere"),
          "who falters and looks away does not ask for a smile", high=AMBIVALENT_SHARE,
          short="ambivalent smiles answered at most half as often"),
    Bound("response", "ambivalent smiles: excess of concern", at("ambivalent_smiles.*.concern.excess"),
          "a tilted head or raised inner brows", AMBIVALENT_CONCERN, short="concern at ambivalent smiles at least .15"),
    Bound("response", "placebos: excess of concern", at("placebo.concern_excess"), "a moved head is not a worry",
          high=PLACEBO_RATE, short="concern at placebos at most .05"),
    Bound("response", "excess rises with the size of the smile", at("excess_rises_with_size"),
          "it must see the smile, not just a change", 1, 1, short="excess rises with size"),
    Bound("response", "nods after cues: excess, lower end of the 95 % interval", at("nods.*.excess_low"),
          "a cue calls for a nod", 0.0, strict=True, short="nods answer cues, excess surely above 0"),
    Bound("response", "wiring: frames from input to condition", at("wiring.frames_late_most"),
          "the condition must change at the next frame", high=1),
    Bound("behaviour", "smiles within 200 ms without precursors, above the chance interval", _early,
          "no listener can answer before it has seen anything", high=0.0),
    Bound("behaviour", "reliance on the speaker, smile, lower end", at("reliance.smile.low"), _PAST, 0.0, strict=True),
    Bound("behaviour", "reliance on the speaker, face, lower end", at("reliance.face.low"), _PAST, 0.0, strict=True),
    Bound("streams", "variance over ancestral sampling", at("variance.raw_over_ancestral.*", REFLEX_GROUPS), _STREAMING,
          *WITHIN["variance"], short="variance within .1 of ancestral"),
    Bound("streams", "autocorrelation, difference from ancestral sampling",
          at("autocorrelation.raw_to_ancestral.*", REFLEX_GROUPS), _STREAMING, high=WITHIN["autocorrelation"][1],
          short="autocorrelation within .1 of ancestral"),
    Bound("streams", "rare events over ancestral sampling", at("events_over_ancestral.*.ratio"), _STREAMING,
          *WITHIN["events"], short="rare events within .2 of ancestral"),
    Bound("streams", "jerk at plan borders over jerk inside plans", at("border_jerk.shown.*", REFLEX_GROUPS),
          "no seam may be visible", high=WITHIN["jerk"][1], short="jerk at borders at most 1.1"),
    Bound("streams", "difference of consecutive plans over the spread of candidates",
          at("plan_difference.*", REFLEX_GROUPS), "a plan that keeps changing looks nervous",
          high=WITHIN["plans"][1], short="plans differ by at most .25 of the spread"),
    Bound("streams", "power in three bands over the reference's, as planned",
          at("bands_over_reference.raw.*.*", REFLEX_GROUPS), "neither frozen nor trembling", *WITHIN["bands"],
          short="power .7 to 1.4 of the reference"),
    Bound("controls", "every sweep rises, at each step and in total with its 95 % interval", _rising,
          "each control must do what it says", 1, 1),
    Bound("sessions", "last part over the second, 95 % intervals", _ratios, "nothing may drift", *RATIO_BAND,
          short="every ratio's interval within .8 to 1.25"),
    Bound("sessions", "head pose, last part minus the second over its s.d., 95 % intervals", at("pose.*.low|high"),
          "nothing may drift; a mean near 0 has no ratio", -POSE_LIMIT, POSE_LIMIT, strict=True,
          short="head within .25 s.d. of where it was"),
    Bound("sessions", "share of frames at a limit", at("clamped"), "nothing may saturate", high=CLAMP_LIMIT,
          short="clamped frames at most .005"),
    Bound("sessions", "effect of an extreme history after 10 s", at("forgetting.left"), "it must recover",
          high=FORGOTTEN, strict=True, short="extreme history forgotten to .05 in 10 s"),
    Bound("autoencoder", "active units of each group", at("active_units.*"), "no group of latents may collapse", 1),
    Bound("speed", "one frame through the encoder, median ms", at("encoder_frame_ms.p50"), _SMALL, high=1.0),
    Bound("speed", "a plan with one candidate, median ms", at("plan_ms.1.p50"), _SMALL, high=40.0),
    Bound("speed", "a plan with ten candidates, median ms", at("plan_ms.10.p50"), _SMALL, high=160.0),
    Bound("speed", "parameters, millions", lambda figures: {"": sum(figures["parameters"].values()) / 1e6 or None},
          _SMALL, high=8.0),
)  # fmt: skip
"""All bounds, in the order of the report."""

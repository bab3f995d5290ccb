"""The bounds that a set of weights must keep: one table of part, name, how to read the value, reason and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.evaluation.evidence.verdicts import Bound, Figures, Find, Found, Verdict, verdict
from reactdiff_ros.evaluation.metrics.coupling import C_BAND, D_LIMIT, P_LIMIT
from reactdiff_ros.evaluation.studies.response_bench import NATURAL_EXCESS, NEGATIVE_SHARE, PLACEBO_RATE, POSITIVE_RATE
from reactdiff_ros.evaluation.studies.sessions import CLAMP_LIMIT, FORGOTTEN, POSE_LIMIT, RATIO_BAND
from reactdiff_ros.evaluation.studies.simulator import BANDS
from reactdiff_ros.evaluation.studies.streams_check import REFLEXES, WITHIN
from reactdiff_ros.evaluation.studies.sweeps import sweep_rises, sweeps_in


def judge(parts: Mapping[str, Figures]) -> list[Verdict]:
    """The verdict on every bound; bounds of a part that is missing are not measured."""
    return [verdict(bound, parts.get(bound.part, {})) for bound in BOUNDS]


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


def _millions(figures: Figures) -> Found:
    return {"": sum(figures["parameters"].values()) / 1e6 or None}


_TOGETHER: Final = "must pass together: FRC and FRD alone reward a dull, certain face"
_PEOPLE: Final = "recorded people: real partner .19, random pairing .01"
_PAST: Final = "its own past alone could produce a plausible face"
_STREAMING: Final = "streaming must not change the distribution"
_CHOICE: Final = "choosing must not make the face duller"
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
          *NATURAL_EXCESS),
    Bound("response", "responsive and positive: answers", at("responsive_positive.rate"),
          "the operator's choice must be visible", POSITIVE_RATE),
    Bound("response", "negative over positive answers", over("negative.rate", "responsive_positive.rate"),
          "the attitude must be visible", high=NEGATIVE_SHARE),
    Bound("response", "placebos: answers", at("placebo.rate"), "a moved head or a lost frame is not a smile",
          high=PLACEBO_RATE),
    Bound("response", "excess rises with the size of the smile", at("excess_rises_with_size"),
          "it must see the smile, not just a change", 1, 1),
    Bound("response", "nods after cues: excess, lower end of the 95 % interval", at("nods.*.excess_low"),
          "a cue calls for a nod", 0.0, strict=True),
    Bound("response", "wiring: frames from input to condition", at("wiring.frames_late_most"),
          "the condition must change at the next frame", high=1),
    Bound("behaviour", "smiles within 200 ms without precursors, above the chance interval", _early,
          "no listener can answer before it has seen anything", high=0.0),
    Bound("behaviour", "reliance on the speaker, smile, lower end", at("reliance.smile.low"), _PAST, 0.0, strict=True),
    Bound("behaviour", "reliance on the speaker, face, lower end", at("reliance.face.low"), _PAST, 0.0, strict=True),
    Bound("streams", "variance over ancestral sampling", at("variance.raw_over_ancestral.*", REFLEXES), _STREAMING,
          *WITHIN["variance"]),
    Bound("streams", "autocorrelation, difference from ancestral sampling",
          at("autocorrelation.raw_to_ancestral.*", REFLEXES), _STREAMING, high=WITHIN["autocorrelation"][1]),
    Bound("streams", "rare events over ancestral sampling", at("events_over_ancestral.*.ratio"), _STREAMING,
          *WITHIN["events"]),
    Bound("streams", "jerk at plan borders over jerk inside plans", at("border_jerk.shown.*", REFLEXES),
          "no seam may be visible", high=WITHIN["jerk"][1]),
    Bound("streams", "difference of consecutive plans over the spread of candidates", at("plan_difference.*", REFLEXES),
          "a plan that keeps changing looks nervous", high=WITHIN["plans"][1]),
    Bound("streams", "power in three bands over the reference's, before smoothing",
          at("bands_over_reference.raw.*.*", REFLEXES), "neither frozen nor trembling", *WITHIN["bands"]),
    Bound("controls", "every sweep rises, at each step and in total with its 95 % interval", _rising,
          "each control must do what it says", 1, 1),
    Bound("choice", "variance with choice over without", at("variance.*", REFLEXES), _CHOICE, 0.9, 1.1),
    Bound("choice", "smiles a minute with choice over without", at("smile_rate"), _CHOICE, 0.9, 1.1),
    Bound("sessions", "last part over the second, 95 % intervals", _ratios, "nothing may drift", *RATIO_BAND),
    Bound("sessions", "head pose, last part minus the second over its s.d., 95 % intervals", at("pose.*.low|high"),
          "nothing may drift; a mean near 0 has no ratio", -POSE_LIMIT, POSE_LIMIT, strict=True),
    Bound("sessions", "share of frames at a limit", at("clamped"), "nothing may saturate", high=CLAMP_LIMIT),
    Bound("sessions", "effect of an extreme history after 10 s", at("forgetting.left"), "it must recover",
          high=FORGOTTEN, strict=True),
    Bound("autoencoder", "active units of each group", at("active_units.*"), "no group of latents may collapse", 1),
    Bound("speed", "one frame through the encoder, median ms", at("encoder_frame_ms.p50"), _SMALL, high=1.0),
    Bound("speed", "a plan with one candidate, median ms", at("plan_ms.1.p50"), _SMALL, high=40.0),
    Bound("speed", "a plan with ten candidates, median ms", at("plan_ms.10.p50"), _SMALL, high=160.0),
    Bound("speed", "parameters, millions", _millions, _SMALL, high=8.0),
)  # fmt: skip
"""All bounds, in the order of the report."""

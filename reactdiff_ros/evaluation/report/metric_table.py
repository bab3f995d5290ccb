"""What the usual figures are called and mean. A result may bring others, or say otherwise, in `Result.metrics`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from reactdiff_ros.evaluation.results import Metric, Result

_FRC: Final = "Sum over the predictions of the best appropriate reaction's concordance correlation over 25 attributes."
_FRD: Final = "Sum over the predictions of the warped distance to the nearest appropriate reaction."
_SYN: Final = "Lag at which a listener's attributes correlate most with the speaker's"

_TABLE: Final = (
    Metric("FRC", "Appropriateness (FRC)", "", "higher", "agreement", _FRC),
    Metric("FRC_mean", "FRC a prediction", "", "higher", "agreement", "FRC over the number of predictions."),
    Metric("FRD", "Distance (FRD)", "", "lower", "agreement", _FRD),
    Metric("FRD_mean", "FRD a prediction", "", "lower", "agreement", "FRD over the number of predictions."),
    Metric("FRDiv", "Diversity (FRDiv)", "", "people", "agreement", "Mean squared difference between the predictions."),
    Metric("FRDvs", "Between speakers (FRDvs)", "", "people", "agreement",
           "Mean squared difference between what is shown to different speakers."),
    Metric("FRVar", "Variation (FRVar)", "", "people", "agreement", "Unbiased variance over time."),
    Metric("FRSyn", "Synchrony (FRSyn)", "frames", "none", "agreement", f"{_SYN}."),
    Metric("FRSyn_first", "Synchrony, first (FRSyn)", "frames", "none", "agreement",
           f"{_SYN}, of the first prediction alone."),
    Metric("smile_coupling", "Smile coupling", "", "people", "behaviour",
           "Mean correlation of the two smiles over lags of 0.3 to 2 s; people in calls .19, interval .11 to .29."),
    Metric("response_lag_ms", "Response lag", "ms", "people", "behaviour", "Median lag of answered smiles."),
    Metric("pose", "Head (turns + nods)", "", "higher", "agreement", "Concordance of turns plus agreement of nods."),
    Metric("pose_concordance", "Turns of the head", "", "higher", "agreement", "Concordance of head pose."),
    Metric("nod_match", "Nods at the same time", "", "higher", "agreement", "Agreement of nods with appropriate ones."),
    Metric("nod_chance", "The same by chance", "", "none", "agreement", "The listener's own nods moved in time."),
    Metric("nod_beyond_chance", "Nods beyond chance", "", "higher", "agreement",
           "Agreement of nods less what the same nods reach when moved in time."),
    Metric("pose_beyond_chance", "Head beyond chance", "", "higher", "agreement",
           "Turns plus nods less what nods reach by chance."),
    Metric("nods_per_minute", "Nods", "1/min", "people", "behaviour", "Nods of 3 degrees and more."),
    Metric("smiles_per_minute", "Smiles", "1/min", "people", "behaviour", "Mouth corners over 0.29 for 0.3 s or more."),
    Metric("brow_raises_per_minute", "Brow raises", "1/min", "people", "behaviour", "Brows over 0.15 for 0.2 s."),
    Metric("laughs_per_minute", "Laughs", "1/min", "people", "behaviour", "A wide smile with a fast jaw for 0.4 s."),
    Metric("blinks_per_minute", "Blinks", "1/min", "people", "conformance", "Lids over half closed for up to 1 s."),
    Metric("in_human_bands", "Time in human bands", "", "higher", "behaviour", "Share of minutes with people's rates."),
    Metric("jerk", "Jerk", "1/s³", "none", "motion", "Mean size of the third derivative; a still face has none."),
    Metric("limit_hits", "Limit hits", "1/min", "lower", "motion", "How often a coefficient comes to its bound."),
    Metric("hop_smoothness", "Seams", "", "none", "motion", "Jerk where plans join over that within; 1 is none."),
    Metric("compute_ms", "Compute a plan", "ms", "lower", "time", "Time that a plan takes."),
    Metric("frame_ms", "Compute a frame", "ms", "lower", "time", "Mean time that a frame of one stream takes."),
    Metric("latency_p50_ms", "Latency, median", "ms", "lower", "time", "From evidence to the frame that shows it."),
    Metric("latency_p95_ms", "Latency, 95 %", "ms", "lower", "time", "From evidence to the frame that shows it."),
    Metric("latency_p99_ms", "Latency, 99 %", "ms", "lower", "time", "From evidence to the frame that shows it."),
)  # fmt: skip
KNOWN: Final[dict[str, Metric]] = {metric.name: metric for metric in _TABLE}
_UNITS: Final = {"ms": "ms", "s": "s", "deg": "deg", "min": "1/min"}


def metrics_of(result: Result) -> dict[str, Metric]:
    """Every figure of a result by its name: the result's own words first, then the usual ones, in reading order."""
    told = {metric.name: metric for metric in result.metrics}
    found = {name: None for s in result.systems for name in (*s.values, *s.figures)}
    order = list(KNOWN)
    names = sorted(found, key=lambda n: (order.index(n) if n in KNOWN else len(order), n if n in KNOWN else ""))
    return {name: told.get(name) or _usual(name, result.info.compat) for name in names}


def _usual(name: str, compat: str) -> Metric:
    metric = KNOWN.get(name) or unknown(name)
    # The reference code counts synchrony in frames without a sign; otherwise it is a signed lag in milliseconds.
    return replace(metric, unit="ms") if name.startswith("FRSyn") and compat != "react2024" else metric


def unknown(name: str) -> Metric:
    """A figure that nobody describes: its name in words, its unit if the name ends with one."""
    last = re.split(r"[_.]", name)[-1]
    return Metric(name, re.sub(r"[_.]+", " ", name), _UNITS.get(last, ""), text="As the run that wrote it defines it.")

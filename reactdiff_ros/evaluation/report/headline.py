"""What a result says, in a few sentences that follow from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reactdiff_ros.evaluation.report import charts, people, summary, tables
from reactdiff_ros.evaluation.report.behaviour import MEASURES, Band
from reactdiff_ros.evaluation.report.people import Shown
from reactdiff_ros.evaluation.report.summary import Values
from reactdiff_ros.evaluation.results import Metric, Result, System


def sentences(
    result: Result, metrics: Mapping[str, Metric], weights: Values, shown: Sequence[Shown], bands: Mapping[str, Band]
) -> list[str]:
    """One sentence each on fit, on simple methods, on people, on causality and on what failed."""
    subject = result.subject
    if subject is None:
        return ["This result has no listener under test."]
    out = []
    if "FRC" in metrics:
        out += _fit(result, subject, weights)
    out += _beside_people(shown, bands)
    out += _causality(subject)
    if result.info.failed:
        count = len(result.info.failed)
        out.append(f"{count} recording{'s' if count > 1 else ''} could not be evaluated; the reasons are at the end.")
    return out


def _fit(result: Result, subject: System, weights: Values) -> list[str]:
    own = summary.estimate_of(subject, "FRC", weights)
    if own is None or not own.items:
        return []
    out = []
    control = tables.control_of(result)
    gap = tables.difference(subject, control, "FRC", weights)
    if gap is None or gap.how == "no interval":
        out.append(
            f"Its appropriateness (FRC) is {charts.value(own)}; there is no shuffled-speaker control to hold it to."
        )
    else:
        told = charts.value(summary.Estimate(abs(gap.value), abs(gap.low), abs(gap.high), gap.items))
        if gap.verdict == "none":
            out.append("Its appropriateness (FRC) cannot be told from that of listening to somebody else.")
        else:
            word = "above" if gap.verdict == "higher" else "below"
            out.append(f"Its appropriateness (FRC) is {told} {word} that of listening to somebody else.")
    gaps = {s.name: tables.difference(subject, s, "FRC", weights) for s in result.systems if s.role == "baseline"}
    lower = {name for name, gap in gaps.items() if gap is not None and gap.verdict == "lower"}
    above = [tables.label_of(s) for s in result.systems if s.name in lower]
    if above:
        verb = "score" if len(above) > 1 else "scores"
        out.append(f"{_listed(above)} {verb} higher in FRC, so FRC alone does not say who listens better.")
    return out


def _beside_people(shown: Sequence[Shown], bands: Mapping[str, Band]) -> list[str]:
    if not shown:
        return []
    verdicts: dict[str, list[str]] = {"inside": [], "outside": [], "unclear": []}
    for row in people.rows(shown, bands, "behaviour"):
        if row.verdict:
            verdicts[row.verdict].append(row.measure.label.lower())
    known = sum(map(len, verdicts.values()))
    if not known:
        return [f"There is too little material to hold its behaviour beside people's ({len(MEASURES)} measures)."]
    inside = len(verdicts["inside"])
    verb = "lies" if inside < 2 else "lie"
    text = f"Of {known} measures of behaviour {inside or 'none'} {verb} surely within people's band"
    if verdicts["outside"]:
        text += f"; outside: {', '.join(verdicts['outside'])}"
    return [text + "."]


def _causality(subject: System) -> list[str]:
    if subject.causal is None:
        return []
    ahead = subject.look_ahead_s
    if subject.causal and ahead == 0:
        return ["Verified strictly online: nothing that it shows depends on what comes later."]
    if subject.causal and ahead is not None:
        return [f"Verified: it sees {ahead:g} s of the future, as it declares, and no more."]
    return ["It sees more of the future than it declares."]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

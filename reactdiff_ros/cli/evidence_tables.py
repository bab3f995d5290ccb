"""The tables of docs/evidence.md: for each part the lines that show its figures beside their controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from reactdiff_ros.cli.markdown import figure, interval, markdown_table
from reactdiff_ros.evaluation.studies.sessions import POSE_LIMIT
from reactdiff_ros.evaluation.studies.sweeps import sweep_rises, sweeps_in

Figures = Mapping[str, Any]
SIMULATED: Final = {
    "simulator": "a simulated listener who knows the speaker", "policy": "the same behind perception",
}  # fmt: skip
"""Who goes through the trials of cues beside the listener."""
POSE_SKILLS: Final = {
    "pose_concordance": "turns of the head", "nod_match": "nods", "nod_beyond_chance": "nods beyond chance",
    "pose_beyond_chance": "pose beyond chance",
}  # fmt: skip
"""Skills that stand beside the one in pose, which adds up turns and nods with what nods match by chance."""


def _titled(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return ["", f"{title}:", "", *markdown_table(head, rows)]


def simulator(f: Figures) -> list[str]:
    """Systems with intervals, skills, and how far the model is from the policy."""
    figures = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "pose")
    head = ("pose_concordance", "nod_match", "nod_chance", "nod_beyond_chance", "nods_per_minute")
    systems = [name for name, row in f.items() if isinstance(row, dict) and "FRC" in row and name != "skill"]
    lines = _titled(
        "Every system, with 95 % intervals over speakers",
        ("system", *(n.replace("_", " ") for n in figures)),
        ((s.replace("_", " "), *(interval(f[s], name) for name in figures)) for s in systems),
    )
    lines += _titled(
        "The head of every system: pose is the concordance of turns and the match of nods; chance is what its own nods "
        "match at other times",
        ("system", *(n.replace("_", " ") for n in head)),
        ((s.replace("_", " "), *(or_unknown(f[s], name) for name in head)) for s in systems),
    )
    skills, bands = f.get("skill", {}), f.get("bands", {})
    names = ("FRC", "FRD", "FRDiv_ratio", "FRVar_ratio", "pose", *POSE_SKILLS)
    rows = []
    for system, kept in bands.items():
        own = skills if system == "model" else skills.get(system, {})
        rows.append((system.replace("_", " "), *(or_unknown(own, n) for n in names), "yes" if kept["all"] else "no"))
    lines += _titled(
        "Skills and ratios",
        ("system", *(POSE_SKILLS.get(n, n.replace("_", " ")) for n in names), "keeps all bands"),
        rows,
    )
    lines += _nods_by_chance(f)
    model, policy = skills.get("FRC"), skills.get("policy", {}).get("FRC")
    if model is not None and policy is not None:
        lines += [
            "",
            f"The policy, which knows the simulator's rules and sees only what perception delivers, has a skill of "
            f"{figure(policy)} in FRC; the model is {figure(abs(policy - model))} "
            f"{'below' if model < policy else 'above'} it. "
            f"The mime's FRC is {figure(_value(f, 'mime', 'FRC'))} and the mean of many listeners' "
            f"{figure(_value(f, 'listener_mean', 'FRC'))} where the oracle's is {figure(_value(f, 'oracle', 'FRC'))}: "
            "FRC alone rewards who does not what people do.",
        ]
    return lines


def or_unknown(row: Figures, name: str) -> str:
    """A figure with its interval; evidence from before there was such a figure has none."""
    return interval(row, name) if row.get(name) is not None else "not measured"


def _nods_by_chance(f: Figures) -> list[str]:
    """How much of the model's match of nods chance explains."""
    match, chance, rate = (_value(f, "model", name) for name in ("nod_match", "nod_chance", "nods_per_minute"))
    if match is None:
        return []
    if chance is None:
        return ["", "What nods match by chance was not measured; the skills in nods and in pose have it in them."]
    share = f" ({chance / match:.0%})" if match else ""
    return [
        "",
        f"Nods: the model's {figure(rate)} a minute match {figure(match)}, and moved to other times {figure(chance)}"
        f"{share} by chance; the oracle's {figure(_value(f, 'oracle', 'nods_per_minute'))} match "
        f"{figure(_value(f, 'oracle', 'nod_match'))}, by chance {figure(_value(f, 'oracle', 'nod_chance'))}. Beyond "
        f"chance the skill in nods is {figure(_value(f, 'skill', 'nod_beyond_chance'))} and that in pose "
        f"{figure(_value(f, 'skill', 'pose_beyond_chance'))}. The bound is on pose with chance in it, as it was set.",
    ]


def _value(figures: Figures, *path: str) -> Any:
    value: Any = figures
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def dyads(f: Figures) -> list[str]:
    """C, p and D_marg of every system."""
    systems = [name for name, row in f.items() if isinstance(row, dict) and "C" in row]
    rows = (
        (s, interval(f[s], "C"), figure(f[s]["p"]), figure(f[s]["D_marg"]), figure(f[s]["passes"])) for s in systems
    )
    note = f.get("model", {}).get("note", "")
    marginal = {name: f[name]["D_by_marginal"] for name in systems if "D_by_marginal" in f[name]}
    parts = list(next(iter(marginal.values()), ()))
    beside = ((part, *(figure(own[part]) for own in marginal.values())) for part in parts)
    return [
        *_titled("Every system", ("system", "C (95 % over pairs)", "p", "D_marg", "passes all three"), rows),
        *(_titled("What D_marg is the mean of", ("figure", *marginal), beside) if parts else []),
        "",
        f"Model: {note}."
        + (" Shipped: trained on all pairs, so its row is no test." if "shipped" in f else "")
        + " The D_marg of the real listeners is that of one half of the pairs against the other.",
    ]


def response(f: Figures) -> list[str]:
    """Answers by setting, and placebos."""

    def row(name: str, r: Figures) -> tuple[str, ...]:
        return name, figure(r["rate"]), interval(r, "excess"), str(r["trials"])

    rows = [row(f"natural, smile of {size}", r) for size, r in f["natural"]["by_size"].items()]
    rows += [row(name.replace("_", " and "), f[name]) for name in ("responsive_positive", "negative")]
    simulated = f.get("nods_of_simulated", {})
    for setting, own in f["nods"].items():
        title = f"nods to a backchannel cue, {setting.replace('_', ' and ')}"
        rows.append(row(title, own))
        rows += [
            row(f"{title}: {words}", simulated[name][setting]) for name, words in SIMULATED.items() if name in simulated
        ]
    by_kind = f["placebo"]["by_kind"].items()
    return [
        *_titled("Answers, as shares of trials", ("setting", "rate", "excess (95 %)", "trials"), rows),
        *([] if simulated else ["", "How often simulated listeners nod to the same cues was not measured."]),
        *_titled("Placebos", ("event", "new smiles"), ((k.replace("_", " "), figure(v)) for k, v in by_kind)),
    ]


def _lag_rows(by_setting: Figures, who: str = "") -> list[tuple[str, ...]]:
    rows = []
    for setting, by_precursors in by_setting.items():
        for name, lags in by_precursors.items():
            cells = (
                f"{figure(b['excess'])} ({figure(b['chance_low'])} to {figure(b['chance_high'])})"
                for b in lags["bins"].values()
            )
            rows.append((f"{setting}, {name.replace('_', ' ')}{who}", *cells))
    return rows


def behaviour(f: Figures) -> list[str]:
    """Lags, reliance, realism, attention."""
    rows = _lag_rows(f["lags"]) + _lag_rows(f.get("lags_of_simulated_listeners", {}), ": simulated listeners")
    bins = next(iter(next(iter(f["lags"].values())).values()))["bins"]
    lines = _titled(
        "Lags of reciprocal smiles: share of the speaker's smiles less chance (in brackets what chance does)",
        ("", *(name.replace("_", " ") for name in bins)),
        rows,
    )
    lines += _titled(
        "Reliance on the speaker",
        ("of", "own speaker", "another one's", "reliance (95 %)"),
        (
            (
                name,
                figure(r["paired"]),
                figure(r["shuffled"]),
                _between(r, "reliance"),
            )
            for name, r in f["reliance"].items()
        ),
    )
    real = f["realism"]
    lines += _titled(
        "Realism of windows of 2 s, beside fresh simulated listeners of the same speakers (the floor)",
        ("figure", "model", "floor"),
        [
            ("Frechet distance", figure(real["frechet"]["distance"]), figure(real["frechet"]["floor"])),
            (
                "classifier's area under the curve (.5: cannot be told apart; s.d. over folds in brackets)",
                _spread(real["classifier"]),
                _spread(real["classifier_floor"]),
            ),
        ],
    )
    return lines + (_attention(f["attention"]) if f.get("attention") else [])


def _spread(classifier: Figures) -> str:
    known = classifier.get("sd_over_folds")
    return figure(classifier["auc"]) + ("" if known is None else f" ({figure(known)})")


def _attention(attention: Figures) -> list[str]:
    """For each cue and map, the stream to which attention shifts most, against plain talk."""
    rows = []
    for cue, maps in attention["cues"].items():
        cells = []
        for streams in maps.values():
            if not streams:
                cells.append("not measured: too few such cues")
                continue
            name, row = max(streams.items(), key=lambda item: abs(item[1]["difference"]))
            cells.append(f"{name} {row['difference']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})")
        rows.append((cue, *cells))
    maps = next(iter(attention["cues"].values()))
    return _titled(
        "Attention on cues that show only in face and voice together: the stream whose share changes most, with 95 %",
        ("cue", *(name.replace("_", " ") for name in maps)),
        rows,
    )


def streams(f: Figures) -> list[str]:
    """Groups of coefficients, and events a minute."""
    groups = f["variance"]["raw_over_ancestral"]
    known = " (95 %)" if "variance_intervals" in f else ""
    columns: dict[str, Figures] = {
        f"variance over ancestral{known}": _variance(f, "raw_over_ancestral"),
        f"variance over reference{known}": _variance(f, "shown_over_reference"),
        "autocorrelation off ancestral": f["autocorrelation"]["raw_to_ancestral"],
        "jerk at borders, planned": f["border_jerk"]["raw"],
        "jerk at borders, shown": f["border_jerk"]["shown"],
        "plans' difference": f["plan_difference"],
        **{f"power {band}": ratios for band, ratios in f["bands_over_reference"]["raw"].items()},
    }
    events = f["events_per_minute"]
    ratios = {name: f[f"events_over_{name}"] for name in ("ancestral", "reference")}
    return [
        *_titled(
            "Each group of coefficients",
            ("group", *columns),
            ((g, *(_text(c.get(g)) for c in columns.values())) for g in groups),
        ),
        "",
        "Gaze and blinks are replaced by reflexes at run time; no bound is put on their streams.",
        *_titled(
            "Events a minute",
            ("event", *events, "shown over ancestral (95 %)", "shown over reference (95 %)"),
            (
                (
                    kind.replace("_", " "),
                    *(figure(rates[kind]) for rates in events.values()),
                    *(_ratio(r[kind]) for r in ratios.values()),
                )
                for kind in next(iter(events.values()))
            ),
        ),
    ]


def _variance(f: Figures, name: str) -> dict[str, str]:
    """Ratios of variance by group, with their intervals; evidence from before there were such intervals has none."""
    known = f.get("variance_intervals", {name: {}})[name]
    return {group: _known(ratio, known.get(group)) for group, ratio in f["variance"][name].items()}


def _text(value: float | str | None) -> str:
    return value if isinstance(value, str) else figure(value)


def _ratio(row: Figures) -> str:
    return _between(row, "ratio")


def _between(row: Figures, name: str) -> str:
    return f"{figure(row[name])} ({figure(row['low'])} to {figure(row['high'])})"


def choice(f: Figures) -> list[str]:
    """Ratios with choice over without."""
    known = f.get("intervals", {"variance": {}})
    rows = [(f"variance of {group}", _known(v, known["variance"].get(group))) for group, v in f["variance"].items()]
    rows += [
        (name.replace("_", " "), _known(f[name], known.get(name)))
        for name in ("smile_rate", "smile_share", "smile_mean")
    ]
    return _titled(f"{f['candidates']} candidates over one", ("figure", "ratio (95 % over listeners)"), rows)


def _known(value: float, interval_of: Figures | None) -> str:
    return figure(value) if interval_of is None else _between({"it": value, **interval_of}, "it")


def controls(f: Figures) -> list[str]:
    """Every sweep."""
    more = f" (of a style: {f['style_items']} speakers)" if f.get("style_items") else ""
    return _titled(
        f"Means at evenly spaced values{more}",
        (
            "control",
            "from, to",
            "measured",
            "means",
            "rise (95 %)",
            "of what is asked",
            "every step rises",
            "the whole too",
        ),
        (
            (
                f"{of}, {name}".removeprefix(", ").replace("_", " "),
                f"{part['values'][0]:g}, {part['values'][-1]:g}",
                part["measure"],
                " ".join(map(figure, part["mean"])),
                interval(part, "rise"),
                _followed(part) if of == "style" else "",
                figure(part["monotonic"]),
                figure(sweep_rises(part)),
            )
            for of, name, part in sweeps_in(f)
        ),
    )


def _followed(part: Figures) -> str:
    """How much of the way an entry of a style goes; a control asks for no figure."""
    return f"{part['rise'] / (part['values'][-1] - part['values'][0]):.0%}"


def sessions(f: Figures) -> list[str]:
    """Second against last part."""
    rows = (
        (name, figure(r["second"]), figure(r["last"]), _ratio(r), figure(r["within"]))
        for name, r in f["ratios"].items()
    )
    lines = _titled(
        f"{f['sessions']} sessions of {f['minutes']:g} min: last sixth over the second",
        ("figure", "second", "last", "ratio (95 %)", "within .8 to 1.25"),
        rows,
    )
    unknown = f.get("not_judged", {})
    if unknown:
        told = (f"{name} ({figure(r['second'])}, then {figure(r['last'])})" for name, r in unknown.items())
        lines += ["", f"Too rare for a ratio, so not judged: {', '.join(told)}."]
    if "pose" not in f:
        return [*lines, "", "Where the head is held was not measured."]
    held = (
        (name, figure(r["second"]), figure(r["last"]), _between(r, "difference"), figure(r["within"]))
        for name, r in f["pose"].items()
    )
    head = ("angle", "second, rad", "last, rad", "moved, over its s.d. (95 %)", f"within {POSE_LIMIT:g}")
    return lines + _titled("Where the head is held", head, held)


def autoencoder(f: Figures) -> list[str]:
    """Reconstruction and active units of each group."""
    return _titled(
        "Each group, on listeners that training had not seen",
        ("group", "variance explained", "active units of", "KL, nats a frame"),
        (
            (g, figure(v), f"{f['active_units'][g]} of {f['units'][g]}", figure(f["kl"][g]))
            for g, v in f["explained"].items()
        ),
    )


def speed(f: Figures) -> list[str]:
    """Times of the model alone."""
    times = {"one frame, encoder": f["encoder_frame_ms"]}
    times |= {f"plan, {count} candidates": row for count, row in f["plan_ms"].items()}
    rows = ((name, *(figure(row[q]) for q in ("p50", "p99", "min"))) for name, row in times.items())
    return _titled(
        f"Times in ms on {f['threads']} thread, {f['steps']} steps, guidance {f['guidance']:g}",
        ("what", "median", "99th percentile", "least"),
        rows,
    )

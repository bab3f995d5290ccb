"""The model card of a folder of weights: a pure function of its manifest and of the evidence.

The form is that of cards on the Hugging Face hub: a head in YAML, then what it is, its uses, training, evaluation,
limits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.cli.evidence_page import (
    OTHERS_TITLE,
    TRIED_TITLE,
    count,
    earlier_parts,
    measured,
    other_verdicts,
    told_and_tried,
    too_long,
    verdict_word,
    verdicts,
)
from reactdiff_ros.cli.evidence_tables import POSE_SKILLS, SIMULATED, or_unknown
from reactdiff_ros.cli.markdown import figure, generated, markdown_table
from reactdiff_ros.cli.model_card_training import data_section, training_section
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.evidence.tried import Tries
from reactdiff_ros.evaluation.evidence.verdicts import Figures
from reactdiff_ros.model.nod_head import CARD
from reactdiff_ros.model.prompt import SHOWN_CONTROL
from reactdiff_ros.model.sampler import EAGER, ORDINARY
from reactdiff_ros.model.weights import MANIFEST, find_weights

LICENCE: Final = "apache-2.0"
_SHORT: Final = ("simulator", "dyads", "response", "behaviour", "speed")
"""Parts whose bounds stand in the card; the others are in the page."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of checked weights, with their "digest" and, as "nods", the card of their head for nods.

    Raises:
        WeightsError: they are missing or do not fit.
        ReactdiffError: the manifest does not tell what a card needs.
    """
    weights = find_weights(folder)
    manifest = json.loads((weights.folder / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(manifest.get("training"), list) or not manifest["training"] or not weights.parameters:
        raise ReactdiffError(
            "the manifest does not say how the weights were trained", where=str(weights.folder / MANIFEST),
            todo="write it again with 'reactdiff export'",
        )  # fmt: skip
    nods = {}
    if weights.nods is not None:
        nods = {"nods": json.loads((weights.folder / CARD).read_text(encoding="utf-8"))}
    return {**manifest, **nods, "digest": weights.digest}


def model_card(
    manifest: Figures, evidence: Figures, *, trained_on: str = "", code: str, tried: Tries | None = None,
    others: Figures | None = None,
) -> str:  # fmt: skip
    """The card.

    Args:
        manifest: of `read_manifest`.
        evidence: of `evaluation.evidence.collection.read_evidence`.
        trained_on: hardware, time and versions of the training, in words.
        code: the model's of today, of `evaluation.evidence.model_code`.
        tried: for bounds, of `evaluation.evidence.tried`.
        others: evidence on other speakers, of `evaluation.evidence.collection.read_others`.

    Raises:
        ReactdiffError: the evidence is of other weights.
    """
    if manifest["digest"] != evidence["weights"]["digest"]:
        raise ReactdiffError(
            f"the evidence is of weights {evidence['weights']['digest']}, the card would be of {manifest['digest']}",
            todo="run 'reactdiff evaluate evidence' on these weights",
        )
    sections = (
        _head(manifest), _what(manifest), data_section(manifest), training_section(manifest, trained_on),
        _scores(evidence, code, tried or {}, others), _people(evidence), _limits(evidence),
    )  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _head(manifest: Figures) -> list[str]:
    return [
        "---",
        f"license: {LICENCE}",
        "library_name: onnx",
        "tags: [robotics, ros2, facial-expression, listener, latent-diffusion, human-robot-interaction]",
        "---",
        "",
        generated("reactdiff docs evidence EVIDENCE.json --output docs/evidence.md --card README.md"),
        "",
        f"# Model card: `{manifest['name']}`",
    ]


def _what(manifest: Figures) -> list[str]:
    counts, shape = manifest["parameters"], manifest["shape"]
    total = sum(counts.values()) / 1e6
    rows = [
        (
            "speaker encoder: streams in two classes (face, voice), intra-class attention in each, inter-class "
            f"attention between, {shape['encoder_layers']} causal temporal layers with cached keys and values",
            "`encoder.onnx` (frame by frame), `encoder_sequence.onnx` (whole clips)", _millions(counts["encoder"]),
        ),
        (
            f"causal VAE of the listener's 58 coefficients, one latent of {shape['latent']} numbers a frame in "
            f"{len(manifest['groups'])} groups, with a head of REACT's 25 attributes",
            "`vae_encoder.onnx`, `vae_decoder.onnx`, `attributes.onnx`", _millions(counts["vae"]),
        ),
        (
            f"denoiser: {shape['denoiser_layers']} layers, width {shape['width']}, horizon {shape['horizon']} frames; "
            f"cross-attention to {shape['speech']} speaker tokens and {shape['past']} frames of its own past; told "
            "controls and style",
            "`context.onnx` (once a plan), `denoiser.onnx` (every step)", _millions(counts["denoiser"]),
        ),
    ]  # fmt: skip
    if "nods" in manifest:
        rows.append(
            (
                "network that says when to nod: one hidden layer over eight tokens; "
                f"{manifest['nods']['gain_nats']:g} nats a nod better than a constant rate, on speakers that it "
                "never saw (`nods.json`)",
                "`nods.npz` (NumPy, once a plan)",
                _millions(manifest["nods"]["parameters"]),
            )
        )
    return [
        "A latent diffusion that gives a robot's face the reactions of a listener: causal, streaming, 25 frames a "
        f"second, from a speaker's face and voice. {total:.1f} million parameters; ONNX graphs for one thread of ONNX "
        "Runtime, and the same numbers as safetensors (float16, to train on). It follows ReactDiff (Li et al., arXiv "
        "2505.14151) with code and weights of its own. `manifest.json` holds the SHA-256 of every file; the loader "
        "refuses anything else. `check.json` holds outputs of the torch networks that the graphs must reproduce.",
        "",
        f"Digest of the manifest `{manifest['digest']}`, hash of the simulator `{manifest['simulator']}`.",
        "",
        *markdown_table(("part", "file", "parameters"), rows),
        "",
        "**Use**: a robot's or an avatar's listening face, in research and demonstrations: `policy: model` runs it. "
        + _told(manifest["conditions"]),
    ]


def _told(conditions: Sequence[str]) -> str:
    told = f"Told to it: {', '.join(f'`{name}`' for name in conditions if name != SHOWN_CONTROL)}."
    if SHOWN_CONTROL in conditions:
        told += f" Always told 0: `{SHOWN_CONTROL}`, which acts on what it is shown, the speaker so much later."
    if "responsiveness" in conditions:
        told += (
            f" Responsiveness above {ORDINARY:g} also acts outside the networks: as guidance on the speaker, "
            f"up to {1 + EAGER:g} times."
        )
    return told


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _scores(evidence: Figures, code: str, tried: Tries, others: Figures | None) -> list[str]:
    rows = verdicts(evidence)
    shown = [row for row in rows if row["part"] in _SHORT or row["holds"] is not True]
    table: list[tuple[str, ...]] = [
        (row["part"], row["name"], measured(row), row["bound"], verdict_word(row)) for row in shown
    ]
    for rows_of in (_pose, _cues, _nods, _realism):
        table += rows_of(evidence["parts"])
    earlier = earlier_parts(evidence, code)
    link = f"../../../docs/evidence.md#{TRIED_TITLE.lower().replace(' ', '-')}"
    looked_into = len(told_and_tried(rows, tried, holds=False))
    return [
        "## Scores",
        "",
        f"{count(rows)}{too_long(evidence)} Measured on {evidence['date']}: {evidence['hardware']}. "
        "Every missed one and the main ones stand here; all figures with their controls are in docs/evidence.md.",
        "",
        *markdown_table(("part", "figure", "measured", "bound", ""), table),
        *[f"\n{part} was not measured: {why}." for part, why in evidence["failed"].items()],
        *([f"\n[{TRIED_TITLE}]({link}) is told for {looked_into} of them."] if looked_into else []),
        *([_of_others(others, code)] if others is not None else []),
        *([f"\nMeasured with earlier code of the model: {', '.join(earlier)}."] if earlier else []),
        "",
        "Figures of the simulator show a known distribution recovered from noisy perception. They are no evidence of "
        "human likeness and are never to be set beside published figures of REACT.",
    ]


def _of_others(others: Figures, code: str) -> str:
    link = f"../../../docs/evidence.md#{OTHERS_TITLE.lower().replace(' ', '-')}"
    return (
        "\nSettings of the sampler were chosen with an eye on these figures. "
        f"[On speakers on which nothing was chosen]({link}): {count(other_verdicts(others))}"
        + (" Measured with earlier code of the model." if earlier_parts(others, code) else "")
    )


def _pose(parts: Figures) -> list[tuple[str, ...]]:
    """Rows of what the skill in pose is made of; no bound is put on these."""
    skills = parts.get("simulator", {}).get("skill")
    if not skills:
        return []
    shown = {words: or_unknown(skills, name) for name, words in POSE_SKILLS.items()}
    return [("simulator", f"skill in {words}", told, "none", "") for words, told in shown.items()]


def _cues(parts: Figures) -> list[tuple[str, ...]]:
    """Rows of nods to a cue beside those of simulated listeners."""
    response = parts.get("response", {})
    rows: list[tuple[str, ...]] = []
    for setting, own in response.get("nods", {}).items():
        beside = (response.get("nods_of_simulated", {}).get(name, {}).get(setting) for name in SIMULATED)
        told = [or_unknown(row or {}, "excess") for row in (own, *beside)]
        name = f"excess of nods to a cue, {setting.replace('_', ' and ')}; {'; '.join(SIMULATED.values())}"
        rows.append(("response", name, "; ".join(told), "none", ""))
    return rows


def _nods(parts: Figures) -> list[tuple[str, ...]]:
    """Rows of the rate of nods beside that of simulated people; no bound is put on it."""
    rates = parts.get("streams", {}).get("events_per_minute", {})
    systems = parts.get("simulator", {})
    found = {
        "streams": (rates.get("shown", {}).get("nods"), rates.get("reference", {}).get("nods")),
        "simulator": tuple(systems.get(name, {}).get("nods_per_minute") for name in ("model", "oracle")),
    }
    before = {"streams": "all worlds, also empty and silent ones", "simulator": "conversations alone"}
    name = "nods a minute, simulated people's beside it"
    return [
        (part, f"{name} ({before[part]})", f"{figure(own)}, {figure(people)}", "none", "")
        for part, (own, people) in found.items()
        if None not in (own, people)
    ]


def _realism(parts: Figures) -> list[tuple[str, ...]]:
    """Rows of how well windows are told from simulated listeners'; no bound is put on these."""
    found = parts.get("behaviour", {}).get("realism")
    if not found:
        return []
    rows = {
        "Frechet distance of windows of 2 s; between simulated listeners": (
            found["frechet"]["distance"], found["frechet"]["floor"],
        ),
        "area under the curve of a classifier that tells them apart; between simulated listeners": (
            found["classifier"]["auc"], found["classifier_floor"]["auc"],
        ),
    }  # fmt: skip
    return [("behaviour", name, "; ".join(map(figure, values)), "none", "") for name, values in rows.items()]


def _people(evidence: Figures) -> list[str]:
    calls = evidence["parts"].get("dyads", {}).get("model")
    lines = ["## What was tested on people, and what was not", ""]
    if calls:
        lines += [
            f"- Tested: the coupling of smiles in recorded calls (C {figure(calls['C'])}, p {figure(calls['p'])}) and "
            f"the statistics of smiles (D_marg {figure(calls['D_marg'])}); {calls['note']}, but "
            "the sizes of simulated smiles, the listener's mood, how fast a smile follows its plan and how large were "
            "chosen with an eye on these calls.",
        ]
    else:
        lines += ["- Nothing: recorded calls were not given when the evidence was made."]
    return [
        *lines,
        "- Not tested: no person has rated this listener. Nods, frowns, brow raises and every response to the voice "
        "rest on the simulator.",
    ]


def _limits(evidence: Figures) -> list[str]:
    """What must not be claimed; of its nods, what was measured."""
    measured = evidence["parts"].get("response", {}).get("nods", {})
    answers = bool(measured) and all(setting["excess_low"] > 0 for setting in measured.values())
    nods = "know phrases and pauses, not meaning" if answers else "answer no cue: they come at no particular moment"
    return [
        "## Limits: what must not be claimed",
        "",
        f"- That it listens like a person. It knows no words; its nods {nods}.",
        *_NOT_CLAIMED,
    ]


_NOT_CLAIMED: Final = [
    "- Anything about REACT's benchmarks, about cultures other than those of the few recorded pairs, about children, "
    "or about therapy and diagnosis.",
    "- That its reading of emotion is right: what perception takes for a smile is answered, whoever shows it and why.",
    "- That it works for every face, voice, camera and light alike: perception was measured on few people "
    "(docs/perception.md).",
    "",
    "## Licence",
    "",
    "Apache-2.0, as the package. No recording, text or weight of others is in it.",
]

"""The sections of a model card on data and training: a pure function of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reactdiff_ros.cli.markdown import markdown_table
from reactdiff_ros.cli.training import FINE_TUNING
from reactdiff_ros.evaluation.evidence.verdicts import Figures

_OPTIONS: Final = (
    "seed", "minutes", "steps", "vae_steps", "batch", "worlds", "pool_steps", "learning_rate", "precision", "fold",
)  # fmt: skip
"""Settings of a run that `reactdiff train` takes as options of the same name."""


def data_section(manifest: Figures) -> list[str]:
    """What the networks learnt from, under which licence."""
    used = {name for run in manifest["training"] for name in run["data"]}
    rows = [
        (
            "simulated dyads of this package, drawn anew while training; state machines after published figures "
            "(docs/simulator.md)",
            "Apache-2.0", "everything",
        )
    ]  # fmt: skip
    if "voices" in used:
        rows.append(
            (
                "voice features of nonsense spoken by espeak-ng",
                "made by a GPL program; no voice ships",
                "the speaker's voice",
            )
        )
    if "dyads" in used and manifest.get("real"):
        rows.append(
            (
                "36 video calls of 12 pairs: data/real_dyads of github.com/daoramey/nonverbal-dynamics-VC-resolution "
                "(Diao et al., ICMI 2024)" + (f", without fold {manifest['fold']}" if manifest["fold"] else ""),
                "MIT", "AU06, AU12, gaze at or away, motion; the voice was unobserved",
            )
        )  # fmt: skip
    if "recordings" in used and manifest.get("real"):
        rows.append(("own recordings (`--recordings`)", "of whoever trained", "what they observe"))
    public = [name for name in _PUBLIC if name in used and manifest.get("real")]
    rows += [(_PUBLIC[name], "see the set's own terms", _public_trains(manifest, name, used)) for name in public]
    lines = ["## Data", "", *markdown_table(("what", "licence", "trains"), rows)]
    if public:
        lines += [
            "",
            "Whoever uses these weights or passes them on keeps to the terms of the sets that they learnt from.",
        ]
    return lines


def _public_trains(manifest: Figures, name: str, used: set[str]) -> str:
    """What networks learnt of a public set."""
    heard = any(name in run["data"] and run["settings"].get("sound", True) for run in manifest["training"])
    face = name == "dualtalk" or "expression_names" in used
    parts = ["face and head" if face else "head", *(["affect of the speaker"] if name != "dualtalk" else [])]
    parts += ["voice"] if heard else []
    labelled = name != "dualtalk" and (manifest.get("autoencoder") or {}).get("labelled_frames")
    return ", ".join(parts + (["attributes from its labels"] if labelled else []))


_PUBLIC: Final = {
    "react": "REACT2023 or REACT2024 (NoXI, RECOLA, UDIVA), `train` split",
    "mars": "MARS (REACT2025 or REACT2026), `train` split",
    "dualtalk": "DualTalk in its ARKit form, `train` split",
}


def training_section(manifest: Figures, trained_on: str) -> list[str]:
    """The commands of all runs; `trained_on`: hardware, time and versions, in words."""
    runs = manifest["training"]
    names = ["live", "tuned"][: len(runs)] + [f"tuned{i}" for i in range(2, len(runs))]
    commands = [
        _command(run, name, names[i - 1] if i else "") for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    steps = " and ".join(str(run["steps"]) for run in runs)
    tail = [f"reactdiff export runs/{names[-1]}/checkpoint.pt --output resource/models/{manifest['name']}"]
    nods = manifest.get("nods")
    if nods:
        given = " ".join(f"--{name} {nods[name]:g}" for name in ("seed", "pools", "steps") if name in nods)
        tail.append(f"reactdiff train-nods resource/models/{manifest['name']} --voices runs/voices.npz {given}")
    lines = ["## Training", "", "```bash", *commands, *tail, "```", ""]
    seeds = sorted({run["settings"].get("seed", 0) for run in runs})
    lines += [
        f"Optimiser steps of encoder and denoiser: {steps}; seed {', '.join(map(str, seeds))}. Averaged weights ship. "
        + (f"{trained_on.rstrip('.')}. " if trained_on else "")
        + "What each phase learns from which loss: docs/training.md."
    ]
    if not all(run["known"] for run in runs):
        lines += ["", "The first run above went on from networks whose own run is no longer on record."]
    if manifest["ablate"]:
        lines += ["", f"Trained without {', '.join(manifest['ablate'])}: an ablation, not to be shipped."]
    return lines


def _command(run: Figures, name: str, before: str) -> str:
    settings: Mapping[str, Any] = run["settings"]
    words = ["reactdiff train", f"--output runs/{name}"]
    if run["from"]:
        words.append(f"--from runs/{before}/checkpoint.pt" if before else "--from CHECKPOINT")
    for option in _OPTIONS:
        implied = run["from"] and settings.get(option) == FINE_TUNING.get(option)
        endless = option == "steps" and settings.get("minutes")
        if settings.get(option) not in (None, "", 0.0) and not implied and not endless:
            value = settings[option]
            words.append(f"--{option.replace('_', '-')} {f'{value:g}' if isinstance(value, float) else value}")
    words += [f"--ablate {part}" for part in settings.get("ablate", ())]
    words += [_FILES[kind] for kind in run["data"]]
    words += ["--no-sound"] if settings.get("sound") is False else []
    return " ".join(words)


_FILES: Final = {
    "voices": "--voices runs/voices.npz",
    "dyads": "--dyads DYADS",
    "recordings": "--recordings RECORDINGS",
    "expression_names": "--expression-names NAMES",
    "react": "--data react:REACT",
    "mars": "--data mars:MARS",
    "dualtalk": "--data dualtalk:DUALTALK",
}

"""The generated pages: every template fits the committed figures, and other figures end in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from reactdiff_ros.cli.docs import PAGES, site_page
from reactdiff_ros.cli.main import cli, main
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import pages
from reactdiff_ros.evaluation.bounds import BOUNDS
from reactdiff_ros.evaluation.pages import FIGURES, model_card, page, render
from reactdiff_ros.launching.table import load_table

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHIPPED = ROOT / "resource" / "models" / "live"


def committed(name: str = "evidence") -> Any:
    return json.loads((DOCS / f"{name}.json").read_text())


def evidence_page(folder: Path, evidence: Any, others: Any = None) -> str:
    (folder / "evidence.json").write_text(json.dumps(evidence))
    if others is not None:
        (folder / "evidence_others.json").write_text(json.dumps(others))
    return page("evidence", folder / "evidence.json")


def rows(text: str) -> Iterator[list[list[str]]]:
    """The tables of a page."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        yield [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole(name: str) -> None:
    text = site_page(name, DOCS, cli, pictures=False)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert prose.startswith("# ")
    assert re.findall(r"\b(?:None|nan|Undefined|\{\{|\{%)", prose) == []
    tables = list(rows(prose))
    assert tables
    assert [table[0] for table in tables if len({len(row) for row in table}) > 1 or len(table) < 3] == []


def leaves(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from () if part.hidden else leaves(part, f"{path} {name}")
    else:
        yield path


def test_reference_pages_have_every_parameter_topic_and_command() -> None:
    text = site_page("nodes", DOCS, cli)
    table = load_table()
    names = [a.name for a in table.arguments]
    for node in table.nodes:
        names += [part.name for part in (*node.parameters, *node.publishers, *node.subscribers, *node.services)]
    assert [name for name in names if f"| `{name}` |" not in text] == []
    text = site_page("commands", DOCS, cli)
    assert [path for path in leaves(cli, "reactdiff") if f"\n## `{path}`\n" not in text] == []
    assert "--json" in text.split("## `reactdiff bench live`")[1].split("\n## ")[0]


def test_the_evidence_shows_every_bound_with_its_verdict(tmp_path: Path) -> None:
    evidence = committed()
    shown = {row[0].strip(): [cell.strip() for cell in row] for table in rows(evidence_page(tmp_path, evidence))
             for row in table if len(row) == 5}  # fmt: skip
    assert [bound.name for bound in BOUNDS if shown[bound.name][2] != bound.text()] == []
    assert shown["a plan with one candidate, median ms"][3] == "pass"
    evidence["parts"]["speed"]["plan_ms"]["1"]["p50"] = 41.5
    text = evidence_page(tmp_path, evidence)
    assert "| a plan with one candidate, median ms | 41.5 | at most 40 | **fail** |" in text
    assert f"**{committed()['held'] - 1} of {len(BOUNDS)} bounds pass.**" in text


def test_other_speakers_are_shown_next_to_those_that_were_tuned_on(tmp_path: Path) -> None:
    evidence, others = committed(), committed("evidence_others")
    assert "## Other speakers" not in evidence_page(tmp_path, evidence)
    others["parts"]["response"]["placebo"]["rate"] = 0.5
    section = evidence_page(tmp_path, evidence, others).split("## Other speakers")[1]
    assert re.search(r"placebos: answers \| 0\.00125 \| 0\.5 \| at most 0\.05 \| \*\*fail\*\* \|", section)
    assert "dyads:" not in section
    others["weights"]["digest"] = "b" * 12
    with pytest.raises(ReactdiffError, match="of other weights"):
        evidence_page(tmp_path, evidence, others)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"live": 3, "faults": 3, "parts": 3}'])
def test_other_files_end_in_one_sentence(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    path.write_text(text)
    assert main(["dev", "docs", name, str(path), "--output", str(tmp_path / "page.md")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(path) in said
    assert FIGURES[name] in said
    assert not (tmp_path / "page.md").exists()


@pytest.mark.parametrize(
    ("name", "where"),
    [("benchmarks", ("live", 0, "result", "stages_ms")), ("reliability", ("faults", 0, "largest_step")),
     ("soak", ("parts", "stream", "trends")), ("ablations", ("without", "face", "frechet")),
     ("evidence", ("parts", "choice", "smile_rate"))],
)  # fmt: skip
def test_a_missing_figure_is_not_left_out_silently(name: str, where: tuple[Any, ...], tmp_path: Path) -> None:
    figures = committed(name)
    part = figures
    for key in where[:-1]:
        part = part[key]
    del part[where[-1]]
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    with pytest.raises(ReactdiffError, match="not the figures of this page"):
        page(name, tmp_path / "figures.json")


def test_pictures_are_drawn_next_to_the_page(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "evidence_lags.png").write_bytes(b"")
    assert main(["dev", "docs", "ablations", str(DOCS / "ablations.json"), "--output", str(tmp_path / "page.md")]) == 0
    assert "(images/ablations.png)" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "images" / "ablations.png").read_bytes().startswith(b"\x89PNG")
    assert "(images/" not in page("ablations", DOCS / "ablations.json")
    assert page("evidence", DOCS / "evidence.json", tmp_path).count("(images/") == 1


def test_the_committed_model_card_is_the_generated_one() -> None:
    card = (SHIPPED / "README.md").read_text()
    trained_on = re.findall(r"The averaged weights ship\. (.+)\. The phases", card)[0]
    assert card == model_card(DOCS / "evidence.json", SHIPPED, trained_on), "run 'reactdiff dev docs evidence --card'"


def test_a_card_of_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = committed()
    evidence["weights"]["digest"] = "b" * 12
    (tmp_path / "evidence.json").write_text(json.dumps(evidence))
    with pytest.raises(ReactdiffError, match="the evidence is of weights bbbbbbbbbbbb"):
        model_card(tmp_path / "evidence.json", SHIPPED)
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(pages, "find_weights", lambda folder: SimpleNamespace(folder=folder))
    with pytest.raises(ReactdiffError, match="how the weights were trained"):
        model_card(DOCS / "evidence.json", tmp_path)


def card(runs: list[dict[str, Any]], evidence: Any = None, **changes: Any) -> str:
    """The card of weights with other runs of training."""
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    manifest |= {"digest": "a" * 12, "training": runs, **changes}
    figures = committed() if evidence is None else evidence
    return render("model_card", figures=figures, manifest=manifest, verdicts=[], others=None, trained_on="",
                  shown_control="delay", ordinary=0.35, eager=4.0)  # fmt: skip


RUN = {"settings": {"seed": 3, "steps": 1_500_000}, "steps": 9, "data": ["voices"], "from": False, "known": True}


def test_the_card_has_the_commands_and_data_of_all_runs() -> None:
    sets = {**RUN, "data": ["expression_names", "react", "dyads"], "from": True}
    heads = {**RUN, "settings": {"sound": False, "learning_rate": 2e-4}, "data": ["mars"], "from": True}
    text = card([RUN, sets, heads], real=True, fold="2", autoencoder={"labelled_frames": 700})
    assert "reactdiff dev train --output runs/live --seed 3 --steps 1500000 --voices runs/voices.npz\n" in text
    assert "runs/tuned --from runs/live/checkpoint.pt --seed 3 --steps 1500000 --expression-names NAMES --data" in text
    assert (
        "--output runs/tuned2 --from runs/tuned/checkpoint.pt --learning-rate 0.0002 --data mars:MARS --no-sound"
        in text
    )
    assert "reactdiff dev export runs/tuned2/checkpoint.pt" in text
    assert "without fold 2 | MIT |" in text
    assert "| face and head, affect of the speaker, voice, attributes from its labels |" in text
    assert "follow the terms of these data sets" in text
    assert "see the terms of the set" not in card([sets], real=False)


def test_the_card_claims_only_what_was_measured() -> None:
    evidence = committed()
    assert "its nods follow phrases" in card([RUN], evidence)
    evidence["parts"]["response"]["nods"]["natural"]["excess_low"] = -0.01
    assert "its nods follow no cue" in card([RUN], evidence)
    evidence["parts"] = {}
    text = card([RUN], evidence)
    assert "its nods follow no cue" in text
    assert "no recorded calls were given" in text

"""docs/ablations.md: what is none is called none, files of another kind are refused, and the picture is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reactdiff_ros.cli.ablations_page import Compared, Swept, read_compared, read_swept
from reactdiff_ros.cli.ablations_page import ablations_page as page_of
from reactdiff_ros.cli.ablations_page import compared as as_compared
from reactdiff_ros.cli.ablations_page import swept as as_swept
from reactdiff_ros.cli.docs import docs
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.studies.ablations import FIGURES, difference


def ablations_page(found: Compared, sweeps: Sequence[Swept] = ()) -> str:
    return page_of(found, sweeps, code="today's")


def group(mean: float, *seeds: int) -> dict[str, Any]:
    return {"models": ["a"], "training_seeds": list(seeds), **{name: {"mean": mean, "sd": 0.02} for name in FIGURES}}


def compared() -> dict[str, Any]:
    differences = {name: difference([0.1, 0.12, 0.14], [0.3, 0.32, 0.34]) for name in FIGURES}
    differences["frechet"] = difference([0.3, 0.32, 0.34], [0.305, 0.325, 0.345])
    runs = [{"settings": {}, "steps": 9000}, {"settings": {"steps": 150, "batch": 16}, "steps": 150}]
    return {
        "groups": {"full": group(0.32, 0, 1, 2), "voice": group(0.12, 0, 1, 2)}, "without": {"voice": differences},
        "items": 200, "seconds": 10.0, "seed": 0, "simulator": "abc", "weights": [], "training": runs,
        "code": "today's",
    }  # fmt: skip


def swept(*seeds: int) -> dict[str, Any]:
    cell = {name: {"mean": 0.5, "sd": 0.1 if len(seeds) > 1 else None} for name in FIGURES}
    return {
        "sweep": {"1 steps, tape": cell, "8 steps, warm start": cell}, "items": 200, "seconds": 10.0,
        "training_seeds": list(seeds), "simulator": "abc", "weights": {}, "code": "today's",
    }  # fmt: skip


def test_the_page_tells_what_is_lower_and_what_is_none() -> None:
    page = ablations_page(as_compared(compared()), [as_swept(swept(0))])
    assert "| smile coupling | 0.32 ± 0.02 | 0.12 ± 0.02 |" in page
    assert "| smile coupling | **lower** (-0.2) |" in page
    assert "| frechet | none (-0.005) |" in page
    assert "without the speaker's voice" in page
    assert "200 speakers of 10 s, simulator `abc`; each trained with steps 150, batch 16" in page
    assert "beginning with networks that 9000 steps had taught." in page
    assert "networks were trained on with all" in page
    assert "still to be measured" in page
    assert "They had met no recorded" in page
    met = compared()
    for data, none in ((["dyads"], False), (["voices", "react"], False), (["voices", "expression_names"], True)):
        met["training"][0]["data"] = data
        assert ("They had met no recorded" in ablations_page(as_compared(met))) is none
    assert "| 8 steps, warm start | 0.5 |" in page
    assert "noise tape" not in ablations_page(as_compared(compared()))


def test_each_sweep_tells_whose_it_is() -> None:
    one, named, three = swept(0), {**swept(0), "weights": {"name": "live", "digest": "d1"}}, swept(0, 1, 2)
    three["weights"] = [{"name": "live", "digest": digest} for digest in ("d2", "d3", "d4")]
    page = ablations_page(as_compared(compared()), [as_swept(named), as_swept(three)])
    assert page.count("## Steps, noise tape and warm start") == 1
    assert page.index("One set of networks (live, d1); 200 speakers") < page.index("with 3 training seeds, means")
    assert page.count("0.5 ± 0.1") == 2 * len(FIGURES)
    assert "One set of networks; 200 speakers" in ablations_page(as_compared(compared()), [as_swept(one)])


def test_what_earlier_code_gave_is_told() -> None:
    said = "Measured with earlier code of the model"
    today, steps = as_compared(compared()), as_swept(swept(0))
    assert said not in ablations_page(today, [steps])
    for code in ("another", None):
        assert ablations_page(replace(today, code=code), [steps]).count(said) == 1
        assert ablations_page(today, [steps, replace(steps, code=code)]).count(said) == 1


def test_networks_trained_at_once_from_nothing_with_the_defaults() -> None:
    told = {**compared(), "training": [{"settings": {}, "steps": 7500}]}
    assert "networks were trained with all" in ablations_page(as_compared(told))
    assert "still to be measured" not in ablations_page(as_compared(told))
    assert "each trained with the defaults." in ablations_page(as_compared(told))
    assert "simulator `abc`." in ablations_page(as_compared({**told, "training": []}))


def test_the_command_writes_page_and_picture(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(compared()))
    (tmp_path / "s.json").write_text(json.dumps(swept(0, 1)))
    one = str(tmp_path / "s.json")
    call = ["ablations", str(tmp_path / "a.json"), "--sweep", one, "--sweep", one]
    result = CliRunner().invoke(docs, [*call, "--output", str(tmp_path / "page.md")])
    assert result.exit_code == 0, result.output
    assert "(images/ablations.png)" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "images" / "ablations.png").stat().st_size > 10_000
    assert "images/ablations.png" not in CliRunner().invoke(docs, call).output


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({**compared(), "groups": {}}), json.dumps(swept(0))])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="no comparison of networks"):
        read_compared(path)


def test_a_comparison_is_no_sweep(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(compared()))
    assert "200 speakers" in read_compared(path).size
    with pytest.raises(MediaError, match="--sweep"):
        read_swept(path)

"""Results in files, and their report: its figures are what was made, and its page is safe and needs nothing else."""

import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from small_result import NOD_EVERY_S, SMILE_EVERY_S, face, small_result

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import results
from reactdiff_ros.evaluation.estimates import draws_of, estimate_of, row_of
from reactdiff_ros.evaluation.report import behaviour, tables
from reactdiff_ros.evaluation.report.behaviour import Faces, moments_of
from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.report.tables import chosen, compare, load_published, metrics_of
from reactdiff_ros.evaluation.results import Info, Item, Result, System
from tools.chromium import Chromium, Page, find_chromium


def test_behaviour_is_what_was_made() -> None:
    found, short = (
        behaviour.behaviour_of("model", Faces(of.items, of.systems, 25.0), of.items)
        for of in (small_result(), small_result(2, 60.0))
    )
    for name, value, error in (
        ("smiles_per_minute", 60 / SMILE_EVERY_S, 0.2), ("nods_per_minute", 60 / NOD_EVERY_S, 0.3),
        ("blinks_per_minute", 15, 0.7), ("smile_lag_s", 0.8, 0.05), ("smiles_answered", 100, 2),
        ("nod_size_deg", np.degrees(0.1), 0.4), ("blink_length_s", 0.2, 0.02), ("smile_coupling", 0.6, 0.4),
    ):  # fmt: skip
        estimate = found[name].estimate
        assert estimate is not None, found[name].reason
        assert estimate.value == pytest.approx(value, abs=error), name
    assert "2.0 minutes, 10 needed" in short["smiles_per_minute"].reason
    assert "events, 10 needed" in short["nod_length_s"].reason


def test_moments_are_found_where_they_were_put() -> None:
    own, speech = face(60.0, smile=0.0), np.zeros(1500, np.float32)
    own[:, 54] = 0.001 * np.sin(np.arange(len(own)))
    own[500:, 53] += 0.3  # a jerk at 20 s
    own[750:800, 24] = 1.0  # jawOpen at its bound for 2 s from 30 s
    own[1000:1100] = own[1000]  # frozen for 4 s from 40 s
    own[1250:1275, 52] = 0.05 * np.sin(2 * np.pi * 2 * np.arange(25) / 25)  # a nod at 50 s
    items = (Item("a", 60.0, speaker=face(60.0), speech=speech),)
    faces = Faces(items, (System("m", "listener", streams={"a": own}),), 25.0)
    worst, counts = moments_of("m", faces, items, 25.0)
    first = {moment.kind: moment.seconds for moment in reversed(worst)}
    for kind, seconds, error in (("jerk", 20.0, 0.1), ("limit", 30.0, 0.1), ("frozen", 40.0, 0.1), ("nod", 50.0, 0.2)):
        assert first[kind] == pytest.approx(seconds, abs=error), kind
    assert (counts["missed"], counts["frozen"], counts["limit"], counts["nod"]) == (6, 1, 1, 1)
    speech[1200:1260] = 1.0
    assert moments_of("m", faces, items, 25.0)[1]["nod"] == 0


def test_tables_tell_differences_to_the_control_and_the_intervals_of_the_page() -> None:
    result = small_result()
    agreement = tables.tables(result, metrics_of(result), draws_of(result.items, 0))[0]
    cells = {line["system"].name: line["cells"] for line in agreement["lines"]}
    assert [m.name for m in agreement["metrics"]] == ["FRC", "FRD", "FRDvs"]
    assert [cell["sign"] for cell in cells["model"][:2]] == ["differs", "same"]
    assert cells["mime"][1] is None
    assert [line["role"] for line in agreement["lines"]][:2] == ["listener", "control"]
    model, draws = result.system("model"), draws_of(result.items, result.info.draws_seed)
    found, row = estimate_of(model, "FRC", draws), row_of(model, draws)
    assert found is not None
    assert (row["FRC"], row["FRC_low"], row["FRC_high"]) == (found.value, found.low, found.high)
    assert found.low < found.value < found.high
    assert (row["FRDvs_low"], row["FRDvs_high"]) == (0.02, 0.05)
    together = tuple(replace(item, group="all") for item in result.items)
    assert np.isnan(row_of(model, draws_of(together, 0))["FRC_low"]), "nobody else could have been drawn"


def test_published_figures_stand_beside_a_run_under_the_same_conditions_alone() -> None:
    react = Info("react", "t", compat="react2024", people=True, settings={"split": "val"})
    mime = next(row for row in load_published() if row.system == "Mime")
    assert (mime.figures["FRC"], mime.comparable(react)[0]) == (0.37, True)
    for change in (
        {"compat": "default"}, {"settings": {"split": "test"}}, {"settings": {"split": "val", "streams": 3}},
        {"kind": "simulator", "people": False},
    ):  # fmt: skip
        comparable, why = mime.comparable(replace(react, **change))  # type: ignore[arg-type]
        assert not comparable
        assert why


def test_runs_of_other_recordings_are_compared_unpaired_and_wrong_names_are_sentences() -> None:
    a = small_result(2, 30.0)
    model, empty = a.system("model"), System("empty", "listener")
    unlike = replace(model, streams={})
    other = replace(a, items=(a.items[0], replace(a.items[1], id="another")), systems=(unlike,))
    found = compare((a, chosen(a, None, "a")), (other, unlike))
    assert found.matched == 1
    assert found.notes[0].startswith("Only 1 of 2 needed recordings match")
    assert {c.difference.how for c in found.figures} == {"unpaired", "from intervals"}
    assert {c.metric.name: c.verdict for c in found.figures}["FRC"] == "none"
    with pytest.raises(ReactdiffError, match="no figure in common"):
        compare((a, model), (replace(a, systems=(empty,)), empty))
    for result, name, words in ((a, "nobody", "no system nobody"), (replace(a, systems=()), None, "no listener under")):
        with pytest.raises(ReactdiffError, match=words):
            chosen(result, name, "a.npz")


def small() -> Result:
    made = small_result(2, 2.0)
    first, second = made.items
    info = replace(made.info, settings={"steps": np.int64(8), "nothing": math.inf, "folder": Path("x")})
    items = (replace(first, notes=("the sound began late", "x")), replace(second, start_ns=7))
    return replace(made, info=info, items=items, metrics=(results.Metric("own", "Own", "s", "lower", "time", "Mine."),))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return results.write_result(small(), tmp_path / "deep" / "run.npz")


def test_what_was_written_is_read(written: Path) -> None:
    wanted = small()
    info = replace(wanted.info, settings={"steps": 8, "nothing": None, "folder": "x"})
    np.testing.assert_equal(asdict(results.read_result(written)), asdict(replace(wanted, info=info)))


def rewritten(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy with one member changed."""
    out = path.with_name("changed.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))
    return out


def test_what_a_later_writer_adds_is_passed_by_and_an_array_that_claims_too_much_is_refused(written: Path) -> None:
    info = {"kind": "arrays", "title": "t", "mood": "good"}
    path = rewritten(written, results.HEAD, lambda head: json.dumps({**json.loads(head), "info": info}).encode())
    assert results.read_result(path).info.title == "t"
    name = "systems/model/streams/00000.npy"
    path = rewritten(written, name, lambda data: data.replace(b"(50, 58)", b"(900000000, 58)"))
    with pytest.raises(results.ResultError, match="not a complete result"):
        results.read_result(path)


def test_other_files_are_no_results_and_a_place_that_cannot_be_written_is_a_sentence(written: Path) -> None:
    path = written.with_name("x.npz")
    np.savez(path, steps=np.zeros(3))
    for other, sentence in ((path, "not a result of 'reactdiff evaluate'"), (path.parent, "no such")):
        with pytest.raises(results.ResultError, match=sentence):
            results.read_result(other)
    with pytest.raises(results.ResultError, match="cannot be written"):
        results.write_result(small(), written / "below.npz")


HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def html() -> str:
    return build_page(small_result(), with_faces=False)


def test_the_page_needs_nothing_else_and_is_the_same_each_time(html: str) -> None:
    assert build_page(small_result(), with_faces=False) == html
    addresses = re.findall(r"""\b(?:src|href|srcset|data|action)=["']?([^"'\s>]+)""", html)
    assert [a for a in addresses if not a.startswith(("#", "data:image/"))] == []
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    assert not re.search(r"url\(|@import", style[1])


def test_figures_of_simulated_speakers_never_stand_beside_published_ones(html: str) -> None:
    real = small_result(2, 30.0)
    simulated = replace(real, info=replace(real.info, kind="simulator", people=False, settings={"split": "val"}))
    page = build_page(simulated)
    for words in ('id="published"', "not comparable", *(str(escape(row.source)) for row in load_published())):
        assert words not in page, words
        assert words in html, words
    assert page.count("Published figures are left out") == 1
    # Of each shot the speaker, then the listener: in two looks, which even the same face shows.
    pictures = re.findall(r'src="(data:image/jpeg[^"]+)"', page)
    assert not set(pictures[::2]) & set(pictures[1::2])
    assert page.count('class="shot"') == 14 < len(pictures)


@pytest.mark.parametrize(
    ("item", "system"),
    [
        (None, None), (Item("a", 0.1, speaker=face(0.12)), {"streams": {"a": face(0.12)}}),
        (Item("a", 9.0), {"streams": {"a": face(9.0)}}),
        (Item("a", 9.0, speaker=face(20.0), speech=np.ones(7, np.float32)),
         {"streams": {"a": face(9.0)}, "values": {"FRC": np.array([np.nan])}}),
    ],
    ids=["nothing", "short", "no speaker", "unequal"],
)  # fmt: skip
def test_a_result_that_lacks_much_has_a_page(item: Item | None, system: dict[str, Any] | None) -> None:
    systems = () if system is None else (System("m", "listener", **system),)
    page = build_page(Result(Info("mars", "t", rate_hz=30.0), (item,) if item else (), systems), with_faces=False)
    assert page.rstrip().endswith("</html>")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with Chromium((1280, 900)) as running:
        yield running


def opened(browser: Chromium, path: Path, html: str, lines: int) -> Page:
    """The page with all its time lines drawn; a busy machine takes its time."""
    path.write_text(html)
    page = browser.open("data:text/html,ready")
    page.call("Page.navigate", url=path.as_uri())
    page.until(f"document.querySelectorAll('.plot svg').length === {lines}", 90)
    page.front()
    return page


CLIPPED = """JSON.stringify([...document.querySelectorAll('svg text')].filter((text) => {
  const svg = text.ownerSVGElement, box = text.getBoundingClientRect(), out = svg.getBoundingClientRect();
  return box.width && (box.left < out.left - 1.5 || box.right > out.right + 1.5 || box.top < out.top - 3 || box.bottom > out.bottom + 4);
}).map((text) => text.textContent))"""  # noqa: E501
OVERLAPPING = """JSON.stringify([...document.querySelectorAll('svg')].flatMap((svg) => {
  const texts = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]).filter((t) => t[1].width);
  return texts.flatMap(([a, p], i) => texts.slice(i + 1).filter(([, q]) =>
    p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3).map(([b]) => a + ' | ' + b));
}))"""  # noqa: E501


FITS = """[...document.querySelectorAll('.plot')].every(
  (plot) => Math.abs(plot.querySelector('svg').viewBox.baseVal.width - plot.clientWidth) < 2)"""


@pytest.mark.browser
def test_nothing_overlaps_and_the_time_line_changes_the_listener(browser: Chromium, html: str, tmp_path: Path) -> None:
    page = opened(browser, tmp_path / "page.html", html, 3)
    for width in (480, 1280):
        page.resize(width, 900)
        page.until(f"window.innerWidth === {width}", 60)
        page.until(FITS, 60)
        assert page.value("document.documentElement.scrollWidth") <= width
        assert json.loads(page.value(CLIPPED)) == [], width
        assert json.loads(page.value(OVERLAPPING)) == [], width

    def marks(who: str) -> int:
        return int(page.value(f"document.querySelector('.plot svg').querySelectorAll('rect.{who}-mark').length"))

    first_tick = "document.querySelector('.plot .tick').textContent"
    assert page.value(first_tick) == "0:00"
    assert (marks("speaker"), marks("listener")) == (24, 24)
    page.value("document.querySelector('[data-do=in]').click()")
    assert page.value(first_tick) == "1:00"
    page.value("document.querySelectorAll('[data-do=all]').forEach((b) => b.click())")
    assert page.value(first_tick) == "0:00"
    page.value("(() => { const s = document.querySelector('.timeline select'); s.value = 'still'; "
               "s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert (marks("speaker"), marks("listener")) == (24, 0)
    assert page.errors == []
    page.close()


@pytest.mark.browser
def test_a_hostile_result_runs_nothing(browser: Chromium, tmp_path: Path) -> None:
    info = Info("recordings", HOSTILE, subject="m", data=HOSTILE, command=HOSTILE, failed=(HOSTILE,))
    item = Item(HOSTILE, 9.0, speaker=face(9.0), notes=(HOSTILE,))
    system = System("m", "listener", HOSTILE, HOSTILE, streams={HOSTILE: face(9.0)}, values={"FRC": np.ones(1)})
    html = build_page(Result(info, (item,), (system,)), with_faces=False)
    page = opened(browser, tmp_path / "hostile.html", html, 1)
    assert page.value("window.hacked === undefined")
    assert page.errors == []
    page.close()

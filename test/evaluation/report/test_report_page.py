from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from small_result import face, small_result

from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.report.tables import load_published
from reactdiff_ros.evaluation.results import Info, Item, Result, System
from tools.chromium import Chromium, Page, find_chromium

NAMES_OF_PUBLISHED = [str(escape(row.source)) for row in load_published()]
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def html() -> str:
    return build_page(small_result(), with_faces=False)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.void = {"meta", "img", "br", "link", "input"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action") and v]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_nothing_else_and_is_the_same_each_time(html: str) -> None:
    assert build_page(small_result(), with_faces=False) == html
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert [a for a in tags.addresses if not a.startswith(("#", "data:image/"))] == []
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    assert not re.search(r"url\(|@import", style[1])


def test_figures_of_simulated_speakers_never_stand_beside_published_ones(html: str) -> None:
    real = small_result(2, 30.0)
    simulated = replace(real, info=replace(real.info, kind="simulator", people=False, settings={"split": "val"}))
    page = build_page(simulated, with_faces=False)
    assert 'id="figures"' in page
    for words in ('id="published"', 'href="#published"', "not comparable", "this run</span>", *NAMES_OF_PUBLISHED):
        assert words not in page, words
        assert words in html, words
    assert page.count("Published figures are left out") == 1
    assert "Published figures are left out" not in html


def test_faces_are_drawn_where_asked() -> None:
    shares: list[float] = []
    html = build_page(small_result(2, 30.0), progress=shares.append)
    pictures = re.findall(r'src="(data:image/jpeg[^"]+)"', html)
    # Of each shot the speaker, then the listener: in two looks, which even the same face shows.
    assert len(pictures) > 20
    assert not set(pictures[::2]) & set(pictures[1::2])
    assert html.count('class="shot"') == 14
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("item", "system"),
    [
        (None, None),
        (Item("a", 1.0), {"values": {"FRC": np.array([1.0])}}),
        (Item("a", 0.1, speaker=face(0.12)), {"streams": {"a": face(0.12)}}),
        (Item("a", 9.0), {"streams": {"a": face(9.0)}}),
        (Item("a", 9.0, speaker=face(9.0), truth=face(9.0)), None),
        (Item("a", 9.0, speaker=face(20.0), speech=np.ones(7, np.float32)),
         {"streams": {"a": face(9.0)}, "values": {"FRC": np.array([np.nan])}}),
    ],
    ids=["nothing", "one figure", "short", "no speaker", "no listener", "unequal"],
)  # fmt: skip
@pytest.mark.parametrize("rate_hz", [25.0, 30.0])
def test_a_result_that_lacks_much_has_a_page(item: Item | None, system: dict[str, Any] | None, rate_hz: float) -> None:
    systems = () if system is None else (System("m", "listener", **system),)
    tags = Tags()
    tags.feed(
        build_page(Result(Info("mars", "t", rate_hz=rate_hz), (item,) if item else (), systems), with_faces=False)
    )
    assert tags.open == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with Chromium((1280, 900)) as running:
        yield running


def open_page(browser: Chromium, path: Path, lines: int) -> Page:
    """The page with all its time lines drawn; a busy machine takes its time."""
    page = browser.open("data:text/html,ready")
    page.call("Page.navigate", url=path.as_uri())
    page.until(f"document.querySelectorAll('.plot svg').length === {lines}", 90)
    page.front()
    return page


@pytest.fixture
def opened(browser: Chromium, html: str, tmp_path: Path) -> Iterator[Page]:
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    page = open_page(browser, path, 3)
    yield page
    page.close()


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
TICKS = "JSON.stringify([...document.querySelectorAll('.plot')[0].querySelectorAll('.tick')].map((t) => t.textContent))"
HOVER = """(() => {
  const plot = document.querySelector('.plot'), box = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + 400, clientY: box.top + 60, bubbles: true}));
  return plot.querySelector('.tip').textContent;
})()"""


@pytest.mark.browser
def test_nothing_is_clipped_or_overlaps(opened: Page) -> None:
    for width in (1280, 900, 480):
        opened.resize(width, 900)
        opened.until(f"window.innerWidth === {width}", 60)
        opened.until(FITS, 60)
        assert opened.value("document.documentElement.scrollWidth") <= width
        assert json.loads(opened.value(CLIPPED)) == [], width
        assert json.loads(opened.value(OVERLAPPING)) == [], width
    assert opened.errors == []


@pytest.mark.browser
def test_the_time_line_zooms_moves_and_changes_the_listener(opened: Page) -> None:
    def labels() -> Any:
        return json.loads(opened.value(TICKS))

    def marks(who: str) -> int:
        return int(opened.value(f"document.querySelector('.plot svg').querySelectorAll('rect.{who}-mark').length"))

    assert labels()[0] == "0:00"
    assert (marks("speaker"), marks("listener")) == (24, 24)
    opened.value("document.querySelector('[data-do=in]').click()")
    assert labels()[0] == "1:00"
    opened.value("document.querySelector('.moment[data-timeline]').click()")
    opened.value("document.querySelectorAll('[data-do=all]').forEach((b) => b.click())")
    assert labels()[0] == "0:00"
    opened.value("(() => { const s = document.querySelector('.timeline select'); s.value = 'still'; "
                 "s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert (marks("speaker"), marks("listener")) == (24, 0)
    hover = opened.value(HOVER)
    assert "Speaker smile" in hover
    assert opened.errors == []


@pytest.mark.browser
def test_dark_and_light_differ_and_paper_is_light(opened: Page) -> None:
    def paper(scheme: str, media: str = "") -> str:
        opened.call("Emulation.setEmulatedMedia", media=media,
                    features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        return str(opened.value("getComputedStyle(document.body).backgroundColor"))

    light, dark = paper("light"), paper("dark")
    assert light != dark
    assert paper("dark", "print") == "rgb(255, 255, 255)"
    assert opened.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    paper("light")
    opened.value("document.getElementById('theme').click()")
    assert opened.value("getComputedStyle(document.body).backgroundColor") == dark


@pytest.mark.browser
def test_a_hostile_result_runs_nothing(browser: Chromium, tmp_path: Path) -> None:
    info = Info("recordings", HOSTILE, subject="m", data=HOSTILE, command=HOSTILE, failed=(HOSTILE,))
    item = Item(HOSTILE, 9.0, speaker=face(9.0), notes=(HOSTILE,))
    system = System("m", "listener", HOSTILE, HOSTILE, streams={HOSTILE: face(9.0)}, values={"FRC": np.ones(1)})
    path = tmp_path / "hostile.html"
    path.write_text(build_page(Result(info, (item,), (system,)), with_faces=False), encoding="utf-8")
    page = open_page(browser, path, 1)
    assert page.value("window.hacked === undefined")
    assert page.errors == []
    page.close()

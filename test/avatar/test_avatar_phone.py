"""The encrypted page as a phone opens it: the camera is allowed, its link is a code, the certificate has a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from serving import LINK
from stage import IN_BROWSER, Stage, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from tools.chromium import Chromium, Page

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("https")
    given = {"port": 0, "host": "0.0.0.0", "https": True, "state_dir": str(folder), "extra_hosts": ("robot.lan",)}
    with Stage(AvatarServer(AvatarConfig(**given), link_token=LINK)) as stage:  # type: ignore[arg-type]
        yield stage


def named(url: str) -> str:
    """As other machines open it."""
    return url.replace("127.0.0.1", "robot.lan")


@pytest.fixture(scope="module")
def page(stage: Stage, browser: Chromium) -> Iterator[Page]:
    """The page of the certificate on a phone, and then the one that is encrypted."""
    with opened(
        browser, named(stage.server.trust[0]), "document.querySelector('.button') !== null", phone=True
    ) as page:
        assert page.value("document.body.scrollWidth") <= 390
        assert page.value("document.querySelector('.button').getBoundingClientRect().height") >= 44
        page.call("Security.setIgnoreCertificateErrors", ignore=True)  # in place of installing the certificate
        page.go(f"{named(stage.url)}?token={LINK}")
        page.until("window.reactdiff && reactdiff.connected()")
        yield page
        assert page.errors == []


def test_the_page_may_ask_for_the_camera_and_its_line_is_open(stage: Stage, page: Page) -> None:
    assert page.value("isSecureContext && Boolean(navigator.mediaDevices.getUserMedia)")
    assert page.value("location.href") == named(stage.url)


def test_the_panel_shows_the_link_as_a_code_that_phones_read(stage: Stage, page: Page, tmp_path: Path) -> None:
    page.key("p")
    page.until("!document.getElementById('phone').hidden")
    assert not page.value("document.querySelector('#phone img').src")  # the token only where it is wanted
    page.value("document.getElementById('phone').open = true")
    page.until("document.querySelector('#phone img').naturalWidth > 50")
    assert "first opens http://" in page.value("document.getElementById('phone').textContent")
    page.value("document.getElementById('phone').scrollIntoView({block: 'end'})")
    for _ in range(10):  # a busy machine paints the code later than it has loaded it
        picture = cv2.imdecode(np.fromfile(page.screenshot(tmp_path / "code.png"), np.uint8), cv2.IMREAD_COLOR)
        read, *_ = cv2.QRCodeDetector().detectAndDecode(cv2.resize(picture, None, fx=3, fy=3))
        if read:
            break
    assert read == f"{named(stage.url)}?token={LINK}"

"""The encrypted page as a phone opens it: the camera is allowed, its link is a code, the certificate has a page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from stage import IN_BROWSER, Stage, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from tools.chromium import Chromium, Page

pytestmark = IN_BROWSER
TOKEN = "a-token_of-22-letters0"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Path]]:
    folder = tmp_path_factory.mktemp("https")
    given = {"port": 0, "host": "0.0.0.0", "https": True, "state_dir": str(folder), "extra_hosts": ("robot.lan",)}
    with Stage(AvatarServer(AvatarConfig(**given), link_token=TOKEN)) as stage:  # type: ignore[arg-type]
        yield stage, folder


@pytest.fixture(scope="module")
def device(stage: tuple[Stage, Path]) -> Iterator[Chromium]:
    """A phone's browser that trusts this server's key, and finds it as robot.lan."""
    certificate = x509.load_pem_x509_certificate((stage[1] / "server.pem").read_bytes())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key = certificate.public_key().public_bytes(serialization.Encoding.DER, form)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    flags = (f"--ignore-certificate-errors-spki-list={pin}", "--host-resolver-rules=MAP robot.lan 127.0.0.1")
    with Chromium((390, 844), flags) as browser:
        yield browser


def named(url: str) -> str:
    """As other machines open it."""
    return url.replace("127.0.0.1", "robot.lan")


@pytest.fixture
def page(stage: tuple[Stage, Path], device: Chromium) -> Iterator[Page]:
    with opened(device, f"{named(stage[0].url)}?token={TOKEN}", "window.reactdiff && reactdiff.connected()") as page:
        yield page


def test_the_page_may_ask_for_the_camera_and_its_line_is_open(stage: tuple[Stage, Path], page: Page) -> None:
    assert page.value("isSecureContext && Boolean(navigator.mediaDevices.getUserMedia)")
    assert page.value("location.href") == named(stage[0].url)
    assert page.errors == []


def test_the_panel_shows_the_link_as_a_code_that_phones_read(
    stage: tuple[Stage, Path], page: Page, tmp_path: Path
) -> None:
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
    assert read == f"{named(stage[0].url)}?token={TOKEN}"


def test_the_page_of_the_certificate_fits_a_phone(stage: tuple[Stage, Path], device: Chromium) -> None:
    page = device.open(named(stage[0].server.trust[0]))
    assert page.value("document.body.scrollWidth") <= 390
    assert page.value("document.querySelector('.button').getBoundingClientRect().height") >= 44
    assert page.errors == []
    page.close()

"""Who may open a page: hosts, origins, the link's token; the encrypted page and its certificate."""

import hashlib
import re
import ssl
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import aiohttp
import cv2
import pytest
from cryptography import x509
from stage import LINK, Stage, in_browser, opened, port_of

from reactdiff_ros.avatar import AvatarConfig, AvatarServer, access, certificates
from reactdiff_ros.avatar.access import Guard, LinkAccess, links
from reactdiff_ros.avatar.arming import RobotConsole
from reactdiff_ros.avatar.certificates import Certificates, _new_server, _read, _write
from reactdiff_ros.avatar.drawing import rasterised
from reactdiff_ros.errors import ConfigError, DeviceError, ReactdiffError


def secured(folder: Path, **settings: object) -> AvatarServer:
    given = {"port": 0, "host": "0.0.0.0", "https": True, "state_dir": str(folder), "extra_hosts": ("robot.lan",)}
    config = AvatarConfig(**given | settings)  # type: ignore[arg-type]
    return AvatarServer(config, link_token=LINK)


@pytest.fixture
async def server(tmp_path, started):
    return await started(secured(tmp_path))


async def status(who: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with who.get(url, headers=headers) as answer:
        return answer.status


async def authority(server: AvatarServer) -> bytes:
    """As a device gets it."""
    async with aiohttp.ClientSession() as session, session.get(server.trust[0] + "reactdiff.crt") as answer:
        assert answer.content_type == "application/x-x509-ca-cert"
        return await answer.read()


def browser_of(certificate: bytes = b"") -> aiohttp.ClientSession:
    """A browser, which keeps cookies of numbers too, and whose user may have installed the authority."""
    trusted = ssl.create_default_context(cadata=certificate) if certificate else True
    connector, jar = aiohttp.TCPConnector(ssl=trusted), aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=aiohttp.ClientTimeout(60))


async def test_a_device_gets_the_authority_from_a_page_of_its_own_and_then_opens_page_and_websocket(server, session):
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await session.get(server.url)
    page, fingerprint = server.trust
    async with session.get(page, headers={"Host": "robot.lan:80"}) as answer:
        text = await answer.text()
        assert fingerprint in text
        assert f"https://robot.lan:{port_of(server.url)}" in text
        assert not re.search(f"%|{LINK}", text)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for path in ("api/status", "ws", "capture", "main.js", "authority.pem", "healthz", "../server.pem", "link.svg"):
        assert await status(session, page + path) == 404, path
    assert await status(session, page, Host="evil.example") == 403
    certificate = await authority(server)
    assert fingerprint == hashlib.sha256(certificate).digest().hex(":").upper()
    async with browser_of(certificate) as browser:
        assert await status(browser, server.url + "link.svg") == 401
        async with browser.get(f"{server.url}?token={LINK}") as answer:
            assert answer.history[0].cookies[f"reactdiff-{answer.url.port}"]["secure"]
            assert "camera=(self)" in answer.headers["Permissions-Policy"]
        async with browser.ws_connect(server.url + "ws", origin=server.url.rstrip("/")) as line:
            assert (await line.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT
    for _ in range(3):  # the answer to a request that comes with the end of the handshake is not lost
        async with browser_of(certificate) as other:
            assert await status(other, server.url + "healthz") == 200


async def test_what_cannot_be_had_has_one_sentence_and_leaves_nothing_open(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match=r"cannot be kept \(.*file/https\): Not a directory; set state_dir"):
        await secured(tmp_path / "file" / "https").start()
    first = secured(tmp_path)
    port = port_of(await first.start())
    again = secured(tmp_path, port=port, port_tries=1)
    with pytest.raises(DeviceError, match=rf"the port is in use \(0.0.0.0:{port}\)"):
        await again.start()
    await first.stop()
    assert first.trust == ("", "")
    await again.start()
    await again.stop()


@in_browser
def test_a_phone_may_use_its_camera_and_reads_the_link_as_a_code(browser, tmp_path):
    with Stage(secured(tmp_path)) as stage:
        trust, url = (address.replace("127.0.0.1", "robot.lan") for address in (stage.server.trust[0], stage.url))
        with opened(browser, trust, "document.querySelector('.button') !== null", phone=True) as page:
            assert page.value("document.body.scrollWidth") <= 390
            page.call("Security.setIgnoreCertificateErrors", ignore=True)  # in place of installing the certificate
            page.go(f"{url}?token={LINK}")
            page.until("window.reactdiff && reactdiff.connected()")
            assert page.value("isSecureContext && Boolean(navigator.mediaDevices.getUserMedia)")
            assert page.value("location.href") == url
            page.key("p")
            page.until("!document.getElementById('phone').hidden")
            assert not page.value("document.querySelector('#phone img').src")  # the token only where it is wanted
            page.value("document.getElementById('phone').open = true")
            page.until("document.querySelector('#phone img').naturalWidth > 50")
            drawn = page.value("fetch('link.svg').then((answer) => answer.text())")
            picture = rasterised(drawn.replace("<path", '<rect width="999" height="999" fill="#fff"/><path', 1))
            read, *_ = cv2.QRCodeDetector().detectAndDecode(cv2.resize(picture, None, fx=3, fy=3))
            assert read == f"{url}?token={LINK}"
            assert page.errors == []


# ---- the certificate

NAMES = ("robot", "robot.local", "192.168.1.5")


def later(days: float = 0.0) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def made(folder: Path) -> Certificates:
    new = Certificates(folder)
    assert not new.renew(NAMES, later()), "nobody trusts another authority yet"
    return new


def expiry(path: Path) -> datetime:
    return _read(path).certificate.not_valid_after_utc


def accepted(server: ssl.SSLContext, authority: bytes, name: str) -> bool:
    """Whether a client that trusts this authority alone accepts the server under this name."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=authority)
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(there, here, server_hostname=name)
    try:
        for side in (client, server.wrap_bio(here, there, server_side=True), client):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError:
        return False
    return bool(client.getpeercert())


def test_devices_that_trust_the_authority_accept_the_page_under_its_names_alone(tmp_path, monkeypatch):
    own, stranger = made(tmp_path), made(tmp_path / "other")
    for name in ("localhost", "127.0.0.1", "::1", *NAMES):
        assert accepted(own.context, own.authority, name), name
    for name in ("192.168.1.6", "example.com", "robot.example.com"):
        assert not accepted(own.context, own.authority, name), name
    assert not accepted(own.context, stranger.authority, "robot")
    # Even a thief of the authority's key can vouch for no other site.
    monkeypatch.setattr(certificates, "_vouches", lambda *_: True)
    authority = _read(tmp_path / "authority.pem")
    _write(tmp_path / "stolen.pem", _new_server(authority, {x509.DNSName("bank.example")}, later()))
    evil = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    evil.load_cert_chain(tmp_path / "stolen.pem")
    assert not accepted(evil, own.authority, "bank.example")


def test_keys_are_for_this_user_alone_and_both_certificates_are_kept_until_another_one_is_needed(tmp_path):
    folder = tmp_path / "https"
    first, page = made(folder), folder / "server.pem"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert files == {"authority.pem": 0o600, "server.pem": 0o600, "lock": 0o600}
    kept, own = page.read_bytes(), Certificates(folder)
    assert not own.renew(NAMES, later(300))
    assert page.read_bytes() == kept
    assert not own.renew((*NAMES, "10.0.0.7"), later())  # another network, while it runs
    assert accepted(own.context, first.authority, "10.0.0.7")
    assert not own.renew(NAMES[:1], later())  # the name of another listener of this machine stays
    assert accepted(own.context, first.authority, "robot.local")
    assert not own.renew(NAMES, later(340))
    assert own.authority == first.authority
    assert expiry(page) > later(340 + 330)
    assert own.renew(NAMES, later(3640))  # who trusted the old authority has to trust the new one
    assert expiry(folder / "authority.pem") > later(3640 + 3600)
    assert own.renew((*NAMES, "robot.lab.example"), later())  # which the authority may not vouch for
    assert accepted(own.context, own.authority, "robot.lab.example")
    assert not own.renew(("røbot", "", "0.0.0.0", "::"), later())  # names that no certificate can hold


@pytest.mark.parametrize("damage", ["cut", "public"])
def test_an_authority_that_cannot_be_relied_on_is_replaced(tmp_path, damage):
    before, path = made(tmp_path), tmp_path / "authority.pem"
    if damage == "public":
        path.chmod(0o644)
    else:
        path.write_bytes(path.read_bytes()[:241])
    after = Certificates(tmp_path)
    after.renew(NAMES, later())
    assert after.authority != before.authority
    assert path.stat().st_mode & 0o777 == 0o600
    assert accepted(after.context, after.authority, "robot")


# ---- the link, hosts and origins


async def test_the_link_opens_page_files_values_and_websocket(started):
    server = await started(AvatarServer(AvatarConfig(port=0, host="0.0.0.0"), link_token=LINK))
    async with browser_of() as owner:
        async with owner.get(f"{server.url}?look=paper&token={LINK}") as answer:
            assert str(answer.url) == server.url + "?look=paper", "no token in the address bar"
            cookie = answer.history[0].cookies[f"reactdiff-{answer.url.port}"]
            assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
            assert answer.history[0].headers["Cache-Control"] == "no-store"
        for path in ("", "operator", "main.js", "api/status", "api/expression"):
            assert await status(owner, server.url + path) == 200
        async with owner.ws_connect(server.url + "ws") as line:
            assert (await line.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT
    async with browser_of() as other:
        for path in ("", "ws", "capture"):
            async with other.get(server.url + path) as answer:
                assert (answer.status, answer.content_type) == (401, "text/html")
                assert "Open the link" in await answer.text()
        # Programs bring the token as a bearer.
        assert await status(other, server.url + "api/status", Authorization=f"Bearer {LINK}") == 200
        for wrong in (f"Basic {LINK}", "Bearer", f"Bearer {LINK.upper()}"):
            assert await status(other, server.url + "api/status", Authorization=wrong) == 401


def test_this_machine_needs_no_token_and_others_each_their_own():
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert AvatarServer(AvatarConfig(port=0, host=host)).link_token == ""
    assert LinkAccess("").token != LinkAccess("").token


@pytest.mark.parametrize("token", ["abcde-fgh23", "a" * 15, "a" * 129, "a&token=bbbbbbbbbbbbb", "é" * 20])
def test_a_token_that_could_be_guessed_or_is_no_part_of_an_address_is_refused(token):
    with pytest.raises(ConfigError, match=r"REACTDIFF_LINK_TOKEN.*16 to 128"):
        LinkAccess(token)
    with pytest.raises(ConfigError, match=r"REACTDIFF_PAGE_TOKEN.*16 to 128"):
        RobotConsole(None, token)  # type: ignore[arg-type]


def test_links_name_addresses_that_others_can_reach(monkeypatch):
    addresses = ["127.0.0.1", "192.168.1.5", "10.1.2.3", "::1", "fe80::1%eth0", "fe80::2", "2001:db8::7", "no address"]
    monkeypatch.setattr(access, "own_addresses", lambda: iter(addresses))
    here = "http://127.0.0.1:8765/"
    assert links(here, "t") == ["http://192.168.1.5:8765/?token=t", "http://10.1.2.3:8765/?token=t"]
    assert links("https://[::1]:8765/", "t") == ["https://[2001:db8::7]:8765/?token=t"]
    assert links("http://robot.lab:8765/", "t") == ["http://robot.lab:8765/?token=t"]
    addresses.clear()
    assert links(here, "t") == ["http://127.0.0.1:8765/?token=t"]
    monkeypatch.setenv("REACTDIFF_PAGE_HOST", "localhost")  # of a container: the host that publishes its port
    assert links(here, "t") == ["http://localhost:8765/?token=t"]


def test_every_numeric_address_of_a_wildcard_and_every_name_that_was_given_opens_the_page():
    for bound, name, opens in (
        ("0.0.0.0", "192.168.1.5", True), ("0.0.0.0", "evil.example", False), ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "robot.lab", True), ("face.lab.", "face.lab.", True),
    ):  # fmt: skip
        assert (Guard(bound, ("robot.lab",)).refuses(f"{name}:1", f"http://{name}:1") is None) is opens

"""The authority and the certificate of an encrypted page: who accepts them, how long they last, where they are kept."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509

from reactdiff_ros.avatar import certificates
from reactdiff_ros.avatar.certificates import Certificates, _new_server, _read, _write

NAMES = ("robot", "robot.local", "192.168.1.5")


def later(days: float = 0.0) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def accepted(server: ssl.SSLContext, authority: bytes, name: str) -> bool:
    """Whether a client that trusts this authority alone accepts the server under this name."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=authority)
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(there, server_side=True).close()
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        trusting.wrap_socket(here, server_hostname=name).close()
    except ssl.SSLCertVerificationError:
        return False
    finally:
        here.close()
        thread.join()
    return True


def test_devices_that_trust_the_authority_accept_the_page_under_its_names_alone(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    assert not made.renew(NAMES, later())
    for name in ("localhost", "127.0.0.1", "::1", *NAMES):
        assert accepted(made.context, made.authority, name), name
    for name in ("192.168.1.6", "example.com", "robot.example.com"):
        assert not accepted(made.context, made.authority, name), name
    stranger = Certificates(tmp_path / "other")
    stranger.renew(NAMES, later())
    assert not accepted(made.context, stranger.authority, "robot")
    assert made.fingerprint.count(":") == 31


def test_the_authority_vouches_for_no_other_site_even_if_its_key_is_stolen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Certificates(tmp_path)
    made.renew(NAMES, later())
    authority = _read(tmp_path / "authority.pem")
    monkeypatch.setattr(certificates, "_vouches", lambda *_: True)  # what a thief would do
    _write(tmp_path / "stolen.pem", _new_server(authority, {x509.DNSName("bank.example")}, later()))
    evil = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    evil.load_cert_chain(tmp_path / "stolen.pem")
    assert not accepted(evil, made.authority, "bank.example")


def test_keys_are_for_this_user_alone(tmp_path: Path) -> None:
    Certificates(tmp_path / "https").renew(NAMES, later())
    assert (tmp_path / "https").stat().st_mode & 0o777 == 0o700
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "https").iterdir()}
    assert files == {"authority.pem": 0o600, "server.pem": 0o600, "lock": 0o600}


def test_both_are_kept_and_the_page_gets_another_certificate_when_it_needs_one(tmp_path: Path) -> None:
    first = Certificates(tmp_path)
    first.renew(NAMES, later())
    kept = (tmp_path / "server.pem").read_bytes()
    second = Certificates(tmp_path)
    assert not second.renew(NAMES, later(300))
    assert second.authority == first.authority
    assert (tmp_path / "server.pem").read_bytes() == kept
    assert not second.renew((*NAMES, "10.0.0.7"), later())  # another network, while it runs
    assert second.authority == first.authority
    assert accepted(second.context, first.authority, "10.0.0.7")
    assert not second.renew(NAMES[:1], later())  # the name of another listener of this machine stays
    assert accepted(second.context, first.authority, "robot.local")


def test_what_expires_is_renewed_before(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.renew(NAMES, later())
    authority, server = made.authority, (tmp_path / "server.pem").read_bytes()
    assert not made.renew(NAMES, later(340))
    assert made.authority == authority
    assert (tmp_path / "server.pem").read_bytes() != server
    assert _expiry(tmp_path / "server.pem") > later(340 + 330)
    assert made.renew(NAMES, later(3640))  # who trusted the old authority has to trust the new one
    assert made.authority != authority
    assert _expiry(tmp_path / "authority.pem") > later(3640 + 3600)


def _expiry(path: Path) -> datetime:
    found = _read(path)
    return found.certificate.not_valid_after_utc


@pytest.mark.parametrize("damage", ["cut", "nonsense", "public", "foreign"])
def test_an_authority_that_cannot_be_relied_on_is_made_anew(tmp_path: Path, damage: str) -> None:
    before = Certificates(tmp_path)
    before.renew(NAMES, later())
    path = tmp_path / "authority.pem"
    if damage == "public":
        path.chmod(0o644)
    elif damage == "foreign":
        Certificates(tmp_path / "other").renew(NAMES, later())
        path.write_bytes(path.read_bytes()[:241] + (tmp_path / "other" / "authority.pem").read_bytes()[241:])
    else:
        path.write_bytes(path.read_bytes()[:300] if damage == "cut" else bytes(3000))
    after = Certificates(tmp_path)
    after.renew(NAMES, later())
    assert after.authority != before.authority
    assert path.stat().st_mode & 0o777 == 0o600
    assert accepted(after.context, after.authority, "robot")


def test_a_name_that_the_authority_may_not_vouch_for_needs_another_one(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.renew(NAMES, later())
    assert made.renew((*NAMES, "robot.lab.example"), later())
    assert accepted(made.context, made.authority, "robot.lab.example")
    assert not made.renew(("røbot", "", "0.0.0.0", "::"), later())  # names that no certificate can hold

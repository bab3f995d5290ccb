"""HTTPS with an authority of this machine's own, which visitors may trust once: without it phones give no camera.

The authority can vouch for this machine's names, for `.local` and for numeric addresses, for nothing else (RFC 5280,
4.2.1.10): who trusts it does not hand over other sites. Its key and that of the server never leave their folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.whole_file import whole_file

AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 365
"""Safari takes at most 825 days of an authority that a user has installed."""
RENEWED_DAYS: Final = 30
"""Both are renewed when they would expire within this time."""
ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
_LOCAL_DOMAIN: Final = "local"
"""Of mDNS: a machine's own name in its network."""
_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class _Identity:
    certificate: x509.Certificate
    key: _Key

    def expires(self, now: datetime) -> bool:
        return self.certificate.not_valid_after_utc < now + timedelta(days=RENEWED_DAYS)


class Certificates:
    """The authority of this machine and the certificate of its page, kept in a folder that several listeners may share.

    Args:
        folder: made where it is missing, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority: _Identity | None = None
        self._server: _Identity | None = None
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        """For a server: connections that begin after `renew` get the newest certificate."""
        self.context.options |= ssl.OP_NO_RENEGOTIATION

    def renew(self, names: Iterable[str], now: datetime) -> bool:
        """Make what is missing, damaged, about to expire, or lacks one of the names or addresses.

        Args:
            names: host names and numeric addresses that the page is opened under; those that no certificate can hold
                are left out.
            now: with its time zone.

        Returns:
            Whether there is another authority than before: who trusted that one has to trust the new one.

        Raises:
            ReactdiffError: the folder cannot be written to.
        """
        wanted = _names((*ALWAYS, *names))
        if self._server is not None and _serves(self._server, self._authority, wanted, now):
            return False
        try:
            with _alone(self._folder):
                before = _read(self._folder / "authority.pem")
                authority = before
                if authority is None or authority.expires(now) or not _vouches(authority, wanted):
                    authority = _new_authority(wanted, now)
                    _write(self._folder / "authority.pem", authority)
                path = self._folder / "server.pem"
                server = _read(path)
                if server is None or not _serves(server, authority, wanted, now):
                    held = _held(server) if server else ()  # other listeners of this machine may have asked for names
                    hosts = {name for name in held if isinstance(name, x509.DNSName)}
                    server = _new_server(authority, wanted | hosts, now)
                    _write(path, server)
                self.context.load_cert_chain(path)
        except OSError as error:
            todo = f"{error.strerror or error}; set state_dir of avatar_node to a folder that can be written to"
            raise ReactdiffError("the page's certificate cannot be kept", where=str(self._folder), todo=todo) from error
        self._authority, self._server = authority, server
        return before is not None and before.certificate != authority.certificate

    @property
    def authority(self) -> bytes:
        """The authority's certificate (DER), which a visitor's device installs; empty before `renew`."""
        return b"" if self._authority is None else self._authority.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, as devices show it."""
        return hashlib.sha256(self.authority).digest().hex(":").upper() if self.authority else ""


# ---- files: a key and its certificate in one, so that they always belong together


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Other listeners of this machine wait meanwhile. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / "lock", "a", opener=lambda name, flags: os.open(name, flags, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> _Identity | None:
    """None: there is none, or none that can be relied on, as when others may have read the key."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_mode & 0o077 or state.st_uid != os.getuid():
                return None
            content = file.read(65536)
        key = serialization.load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
    except (OSError, ValueError):
        return None
    if not isinstance(key, _Key) or certificate.public_key() != key.public_key():
        return None
    return _Identity(certificate, key)


def _write(path: Path, identity: _Identity) -> None:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    with whole_file(path, private=True) as file:
        file.write(identity.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        file.write(identity.certificate.public_bytes(pem))


# ---- what a certificate holds


def _names(given: Iterable[str]) -> set[x509.GeneralName]:
    """As certificates hold them."""
    found: set[x509.GeneralName] = set()
    for name in given:
        try:
            address = ipaddress.ip_address(name)
            if not address.is_unspecified:
                found.add(x509.IPAddress(address))
        except ValueError:
            if name.isascii() and 0 < len(name) <= 253:
                found.add(x509.DNSName(name.lower().rstrip(".")))
    return found


def _held(server: _Identity) -> set[x509.GeneralName]:
    try:
        return set(server.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _vouches(authority: _Identity, names: set[x509.GeneralName]) -> bool:
    """Whether the authority may vouch for all of these."""
    try:
        constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:  # an authority that the lab has put there
        return True
    permitted = constraints.permitted_subtrees
    domains = [tree.value for tree in permitted or () if isinstance(tree, x509.DNSName)]
    hosts = [name.value for name in names if isinstance(name, x509.DNSName)]
    return all(any(f".{host}".endswith(f".{domain}") for domain in domains) for host in hosts)


def _serves(server: _Identity, authority: _Identity | None, names: set[x509.GeneralName], now: datetime) -> bool:
    """Whether the server's certificate is good now, and for a while, for all of these names."""
    if authority is None or server.expires(now) or server.certificate.not_valid_before_utc > now:
        return False
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return names <= _held(server)


def _builder(name: x509.Name, issuer: x509.Name, key: _Key, now: datetime, days: int) -> x509.CertificateBuilder:
    yesterday = now - timedelta(days=1)  # the clocks of visitors' devices may be behind
    return (
        x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(yesterday)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _new_authority(names: set[x509.GeneralName], now: datetime) -> _Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = {name for name in names if isinstance(name, x509.DNSName)}
    own = sorted(host.value for host in hosts if host.value not in ALWAYS)
    name = _subject(f"reactdiff on {own[0] if own else 'this machine'}")
    trees = sorted({*hosts, x509.DNSName(_LOCAL_DOMAIN)}, key=lambda tree: tree.value)
    certificate = (
        _builder(name, name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=trees, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Identity(certificate, key)


def _new_server(authority: _Identity, names: set[x509.GeneralName], now: datetime) -> _Identity:
    key, issuer = ec.generate_private_key(ec.SECP256R1()), authority.certificate
    names = {name for name in names if _vouches(authority, {name})}
    certificate = (
        _builder(_subject("reactdiff page"), issuer.subject, key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(sorted(names, key=repr)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Identity(certificate, key)

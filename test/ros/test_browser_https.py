"""The encrypted page of real nodes: the graph finds it and its certificate, and a visitor's camera comes through it."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone
from pathlib import Path

import pytest
from capture_attacks import connect, jpeg
from ros_harness import RosGraph

from reactdiff_ros.avatar.certificates import Certificates
from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, TIME
from reactdiff_ros.launching.live_graph import _TRUST, _URL, page_answers

pytestmark = pytest.mark.ros
PICTURES = "camera/image_raw/compressed"


def test_a_visitor_is_seen_through_an_encrypted_line(tmp_path: Path) -> None:
    picture = jpeg(64, 48)
    with RosGraph(tmp_path) as graph:
        graph.listen(PICTURES)
        avatar = graph.start("avatar_node", port=18765, https=True, state_dir=str(tmp_path / "https"))
        graph.start("browser_node")
        graph.wait_active("avatar_node", "browser_node")
        url = graph.until(lambda: next(iter(_URL.findall(avatar.log)), None), what="the page's address")
        assert url.startswith("https://127.0.0.1:")
        assert page_answers(url, 5.0)
        certificates = Certificates(tmp_path / "https")
        (_, fingerprint), *_ = _TRUST.findall(avatar.log)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(url)
        certificates.renew((), datetime.now(timezone.utc))
        assert certificates.fingerprint == fingerprint
        authority = tmp_path / "authority.crt"
        authority.write_text(ssl.DER_cert_to_PEM_cert(certificates.authority))
        line = connect(url, sslopt={"ca_certs": str(authority)})
        assert "seat" in str(line.recv())
        ping = REPLY.unpack(line.recv())
        now_ms = graph.node.get_clock().now().nanoseconds / 1e6
        line.send_binary(HEAD.pack(1, TIME, 0, ping[3], now_ms))
        for number in range(5):
            line.send_binary(HEAD.pack(1, PICTURE, 0, number, now_ms + number) + picture)
        graph.until(lambda: len(graph.received[PICTURES]) >= 3, what="pictures")
        line.close()

"""A short clip of somebody who talks; what the tests of evaluation share is found here too."""

import sys
from pathlib import Path

import av
import pytest

from reactdiff_ros.resources import demo_clip_path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation" / "report"))  # small_result


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """The first two seconds of the demo speaker, copied without decoding."""
    path = tmp_path_factory.mktemp("clip") / "talk.mp4"
    with av.open(str(demo_clip_path())) as source, av.open(str(path), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.pts is not None and packet.pts * packet.time_base < 2.0:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return path

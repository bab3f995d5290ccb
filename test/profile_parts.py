"""Parts of robots' profiles, as text, that several tests put together."""

JAW = """\
  jaw:
    unit: deg
    group: jaw
    neutral: 0
    limits: {position: [0, 20], speed: 120, acceleration: 1500, jerk: 45000}
    map: {sum: {jawOpen: 20}}
    on_fault: hold
    output: {driver: bus, id: 1}
"""


def head_of(name: str) -> str:
    """What a profile begins with, up to its drivers."""
    said = "".join(f"{key}: a\n" for key in ("about", "shows", "published", "chosen", "tested"))
    return f"""\
name: {name}
{said}rate_hz: 50
software_stop: hold
host_loss: {{does: hold, watchdog: none, about: a}}
camera: {{mount: fixed}}
"""

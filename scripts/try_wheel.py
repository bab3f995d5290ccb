"""Tries the reactdiff of this environment as its first user does: what it is, what the doctor says, then the page.

python try_wheel.py [SECONDS]: SECONDS that have passed since the installation began, for the last line.
"""

import json
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

PAGE_S = 120.0


def main() -> None:
    """Raises what goes wrong."""
    begun = time.monotonic() - float(sys.argv[1] if sys.argv[1:] else 0)
    command = str(Path(sysconfig.get_path("scripts")) / "reactdiff")
    subprocess.run([command, "--version"], check=True)
    output = subprocess.run([command, "doctor"], stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout
    print(output, flush=True)
    errors = {line.split()[1] for line in output.splitlines() if line.startswith("ERROR")}
    if errors != {"ros"}:
        raise SystemExit(f"the doctor misses more or less than ROS: {sorted(errors)}")
    listening = subprocess.Popen([command, "listen", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(listening.stdout.readline())["url"]
        with urllib.request.urlopen(url, timeout=10) as answer:
            if b"<html" not in answer.read():
                raise SystemExit("the page is no page")
        seconds = time.monotonic() - begun
        while not sees_a_face(url):
            if time.monotonic() - begun > seconds + PAGE_S:
                raise SystemExit(f"the face did not react within {PAGE_S:g} s")
            time.sleep(0.2)
    finally:
        listening.terminate()
        listening.wait(20)
    reacted = time.monotonic() - begun - seconds
    print(f"the page after {seconds:.0f} s, a reaction to the demo speaker {reacted:.1f} s later")


def sees_a_face(url: str) -> bool:
    """Whether the face moves, and perception sees the demo speaker."""
    with urllib.request.urlopen(f"{url}api/status", timeout=10) as answer:
        status = json.load(answer)
    return bool(status["page"]["fresh"] and status["graph"].get("speaker", {}).get("present"))


if __name__ == "__main__":
    main()

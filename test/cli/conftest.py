"""What the tests of evaluation share is found here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation" / "report"))  # small_result

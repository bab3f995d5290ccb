"""Values as strict JSON has them: what is not finite is null, NumPy's arrays and numbers are Python's own."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """`value` with NaN and infinities as None, NumPy's values as Python's own, in all depths."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

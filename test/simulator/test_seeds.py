from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.simulator.seeds import PURPOSES, purpose_of, purpose_seed


@given(st.sampled_from(sorted(PURPOSES)), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_seed_says_what_it_is_for_and_fits_an_int64(purpose, seed, number) -> None:
    value = purpose_seed(purpose, seed, number)
    assert purpose_of(value) == purpose
    assert 0 <= np.int64(value) < 2**63


def test_seeds_and_numbers_differ() -> None:
    many = {purpose_seed(p, s, n) for p in PURPOSES for s in range(20) for n in range(100)}
    assert len(many) == len(PURPOSES) * 2000
    assert purpose_seed("train", 3, 4) == purpose_seed("train", 3, 4)


def test_a_user_s_own_number_has_no_purpose() -> None:
    assert purpose_of(12345) is None

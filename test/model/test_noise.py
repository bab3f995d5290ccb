import numpy as np

from reactdiff_ros.model.plan.noise import NoiseTape


def test_tape_is_indexed_by_absolute_frame():
    tape = NoiseTape(3, 24)
    long = tape.frames(10**9, 160, 0)
    np.testing.assert_array_equal(long[4:16], NoiseTape(3, 24).frames(10**9 + 4, 12, 0))
    np.testing.assert_array_equal(long[50:80], tape.frames(10**9 + 50, 30, 0))
    assert not np.array_equal(long, tape.frames(10**9, 160, 1))
    assert not np.array_equal(long, NoiseTape(4, 24).frames(10**9, 160, 0))


def test_frames_before_zero():
    tape = NoiseTape(0, 3)
    np.testing.assert_array_equal(tape.frames(-5, 10)[5:], tape.frames(0, 5))


def test_tape_is_unit_noise_and_forgets():
    tape = NoiseTape(0, 24)
    values = np.concatenate([tape.frames(i, 1, i % 3) for i in range(6000)])
    assert abs(values.std() - 1) < 0.02
    assert abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.06
    assert len(tape._blocks) <= 33
    np.testing.assert_array_equal(NoiseTape(0, 24).frames(5999, 1, 2)[0], values[5999])

"""Our solvers, step for step beside the schedulers of Hugging Face diffusers, on the same schedule and network."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (requirements/train.txt)")

from reactdiff_ros.model.plan.solvers import ddim, dpm_solver_pp_2m  # noqa: E402

MEAN, DEVIATION = 0.3, 0.6
STEPS = 7


def velocity(z, angle):
    """The exact velocity of data N(MEAN, DEVIATION^2)."""
    c, s = np.cos(angle), np.sin(angle)
    away = (z - c * MEAN) / (DEVIATION**2 * c * c + s * s)
    return c * s * away - s * (MEAN + DEVIATION**2 * c * away)


def trace(solver, noise, schedule):
    """z before each evaluation, and the clean data at the end."""
    seen = []

    def watched(z, angle):
        seen.append(z)
        return velocity(z, angle)

    end = solver(watched, noise, schedule)
    return [*seen, end]


def schedulers_trace(scheduler, noise):
    """The same of a scheduler, and its noise angles."""
    scheduler.set_timesteps(STEPS)
    z, states, schedule = noise, [noise], []
    for t in scheduler.timesteps:
        alpha_bar = float(scheduler.alphas_cumprod[int(t)])
        schedule.append(float(np.arccos(np.sqrt(alpha_bar))))
        z = scheduler.step(velocity(z, schedule[-1]), t, z).prev_sample
        states.append(z)
    return states, schedule


@pytest.mark.parametrize("beta_schedule", ["scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize(
    ("solver", "name", "extra"),
    [
        (ddim, "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": True}),
        (
            dpm_solver_pp_2m, "DPMSolverMultistepScheduler",
            {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"},
        ),
    ],
)  # fmt: skip
def test_step_for_step(solver, name, extra, beta_schedule):
    scheduler = getattr(diffusers, name)(
        num_train_timesteps=1000, beta_schedule=beta_schedule, prediction_type="v_prediction", **extra
    )
    noise = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs, schedule = schedulers_trace(scheduler, noise)
    ours = trace(solver, noise, schedule)
    assert len(ours) == len(theirs) == STEPS + 1
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=2e-4)

"""From speaker tokens to a plan: conditions, sampler, solvers, noise, choice, and the corrections of a plan."""

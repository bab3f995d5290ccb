"""What goes into the networks and comes out: tokens, conditions, noise, solvers, latents, memory. NumPy alone."""

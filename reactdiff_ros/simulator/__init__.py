"""Simulated dyads: speakers, what a robot perceives of them, and listeners that are causal in the speaker's stream."""

"""Robots with joints: profiles, the mapping from coefficients to joints, rules, and jerk-limited following."""

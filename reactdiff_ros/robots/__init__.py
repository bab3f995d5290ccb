"""Robots with joints: profiles, the mapping from coefficients to joints, rules, and jerk-limited following.

Enters: files of profiles, calibrations and last commands; expression frames, measured positions, requests to enable,
disarm, stop and reset; the time of the tick.
Leaves: one command a joint and tick within the profile's limits, whatever came in; state, torque and faults
in words.
Imports: the shared values alone; buses come to it as arguments.
"""

"""Drivers: positions in the units of a profile to servos on a bus, and measured positions back.

Enters: positions, a calibration, a port or a host, a clock.
Leaves: the makers' protocols on the wire, through the makers' libraries; positions, temperatures and faults as values.
"""

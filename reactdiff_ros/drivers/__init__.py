"""Drivers: from commands in a profile's units to servos on a bus, and back to what was measured.

Enters: positions of joints in degrees or other units of the profile, a calibration, a port or a host, a clock.
Leaves: the makers' protocols on the wire, through the makers' libraries; positions, torque, temperatures and faults as
values.
Imports: robots, for the types of a profile and of a calibration. No ROS.
"""

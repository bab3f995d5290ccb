"""Drivers: from commands in a profile's units to servos on a bus, and back to what was measured."""

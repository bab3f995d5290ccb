"""Runs the listener for hours and judges whether anything grows, drifts or slows."""

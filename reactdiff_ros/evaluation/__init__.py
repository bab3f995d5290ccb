"""Measuring: what the listener does and what it costs."""

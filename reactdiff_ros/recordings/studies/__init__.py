"""Blind studies: allocation of conditions, sealed sessions, and the key that opens them."""

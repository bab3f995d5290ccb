"""Recordings of people made into data, by the live path."""

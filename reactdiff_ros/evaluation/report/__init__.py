"""A result as one page to read, and two results next to each other."""

"""A result as one page to read, and two results beside each other."""

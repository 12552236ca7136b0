"""A folder of its own, which the servers under test have on their path."""

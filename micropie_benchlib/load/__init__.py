"""One trial: servers on one side, wrks on the other, here or elsewhere."""

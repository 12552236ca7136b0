"""The experiment: launches and trials in their order, and their outcome. It renders nothing."""

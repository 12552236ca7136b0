"""Servers and load on other machines: an agent there, over the user's own ssh."""

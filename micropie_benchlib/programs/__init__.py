"""Programs that run as processes of their own, with the standard library alone."""

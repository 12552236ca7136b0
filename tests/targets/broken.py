"""An app that raises on import."""

raise RuntimeError("the database is on fire")

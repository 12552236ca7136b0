"""Intervals, verdicts, ranks, the gate's decision, and whether a trial counts. It words nothing."""

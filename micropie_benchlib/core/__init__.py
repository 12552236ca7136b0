"""What everything else speaks of: targets, loads, plans, measurements, results. It starts nothing
and imports no other room.
"""

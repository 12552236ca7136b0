"""The command line: options, bench.toml, targets as typed, progress, exports. What a command does
is in the script.
"""

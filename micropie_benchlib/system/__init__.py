"""The operating system: processes and their guard, /proc, clocks, checks of the machine."""

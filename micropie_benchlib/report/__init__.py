"""Results in words, tables and charts: for the terminal, and a module for each export. It works
nothing out.
"""

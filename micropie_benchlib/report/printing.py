"""Texts of others, so that nothing of them steers a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text in one line, with what cannot be shown escaped as in Python's source.

    Texts of servers, wrk and results files may hold what would steer a terminal, or turn
    the order of the characters around.
    """
    return text if text.isprintable() else "".join(map(printable_character, text))


def printable_character(character: str) -> str:
    """Return the character, or how Python's source writes it if it cannot be shown."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def printable_lines(text: str) -> str:
    """Return the text likewise, but with its lines as they are."""
    return "\n".join(map(printable, text.split("\n")))

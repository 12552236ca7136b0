"""Texts of others, so that nothing of them steers a terminal."""


def printable(text: str) -> str:
    """Return the text in one line, with what cannot be shown escaped as in Python's source.

    Texts of servers, wrk and results files may hold what would steer a terminal, or turn the
    order of the characters around.
    """
    if text.isprintable():
        return text
    characters = []
    for character in text:
        escaped = character.encode("unicode_escape").decode()
        characters.append(character if character.isprintable() else escaped)
    return "".join(characters)


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))

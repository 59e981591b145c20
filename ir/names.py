"""Names: as people read them, whatever a model calls its tensors, and new ones."""

import unicodedata
from collections.abc import Container

_MOVING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats such as reversed text, halves of characters, line ends


def printable(name: str, besides: str = "") -> str:
    """Write characters that move or deceive a terminal as escapes, ``\\x1b``, but for those in ``besides``."""
    if name.isascii() and name.isprintable():
        return name
    return "".join(_escaped(each) if each not in besides else each for each in name)


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _MOVING:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no text
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode()


def fresh(wanted: str, taken: Container[str]) -> str:
    """Return a name that is not taken: the one wanted, or with the first number behind it that is free."""
    name, count = wanted, 1
    while name in taken:
        name, count = f"{wanted}_{count}", count + 1
    return name

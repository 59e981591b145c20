"""Names of layers: identifiers in C, each once."""

import re

_RESERVED = frozenset([
    "input", "output", "weights", "weight", "bias", "result", "data", "size", "auto", "bool", "break", "case",
    "char", "class", "const", "continue", "default", "delete", "do", "double", "else", "enum", "extern", "false",
    "float", "for", "goto", "if", "inline", "int", "long", "namespace", "new", "operator", "private", "public",
    "register", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "true",
    "typedef", "union", "unsigned", "using", "virtual", "void", "volatile", "while", "main", "std", "nnet",
])  # fmt: skip


class Names:
    """Hands out names; none twice, whatever their case."""

    def __init__(self) -> None:
        self._taken: set[str] = set(_RESERVED)

    def fresh(self, wanted: str) -> str:
        """Return an identifier like ``wanted``."""
        stem = re.sub(r"[\W_]+", "_", wanted, flags=re.ASCII).strip("_") or "layer"
        stem = f"layer_{stem}" if stem[0].isdigit() or stem.lower() in _RESERVED else stem
        name, count = stem, 1
        while name.lower() in self._taken:
            name, count = f"{stem}_{count}", count + 1
        self._taken.add(name.lower())
        return name

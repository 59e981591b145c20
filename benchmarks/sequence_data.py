"""Text and lines of digits, made of what every machine has: Python's standard library, and the demo's digits."""

import io
import keyword
import sysconfig
import tokenize
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

VOCABULARY = 128  # ASCII; 0 stands for all else
KINDS = ("between", "keyword", "NAME", "NUMBER", "OP", "STRING", "COMMENT")  # what a character of Python is part of
BLANK = 10
_HEIGHT, _DIGITS = 16, (3, 6)


@dataclass(frozen=True)
class Split:
    """Characters of some files, and places in ``KINDS`` of what each is part of, to be cut into passages."""

    text: Array
    kinds: Array
    length: int

    def draw(self, count: int, seed: int | None = None) -> tuple[Array, Array]:
        """Return passages (count, length) of int64 at random places, and the kinds of their characters."""
        starts = np.random.default_rng(seed).integers(0, len(self.text) - self.length, count)
        places = starts[:, None] + np.arange(self.length)
        return self.text[places].astype(np.int64), self.kinds[places].astype(np.int64)


@cache
def passages(length: int, part: str) -> Split:
    """Return every sixth module of the standard library, by name, for ``test``; the others for ``train``."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    chosen = [module for place, module in enumerate(modules) if (place % 6 == 0) == (part == "test")]
    sources = [module.read_text(encoding="utf-8", errors="replace") for module in chosen]
    text = np.concatenate([np.frombuffer(source.encode("utf-32-le"), np.uint32) for source in sources])
    kinds = np.concatenate([_kinds(source) for source in sources])
    return Split(np.where(text < VOCABULARY, text, 0), kinds, length)


def _kinds(source: str) -> Array:
    """Return what each character is part of, as Python's own tokenizer says."""
    found = np.zeros(len(source), np.uint8)
    lines = np.cumsum([0, *(len(line) for line in io.StringIO(source))])
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = "keyword" if keyword.iskeyword(token.string) else tokenize.tok_name[token.type]
        if name in KINDS:
            begin, end = (lines[row - 1] + column for row, column in (token.start, token.end))
            found[begin:end] = KINDS.index(name)
    return found


@cache
def _digits(part: str) -> tuple[Array, Array]:
    with np.load(str(files("optimise_onnx.demo") / "digits.npz")) as stored:
        images, labels = stored["test_image"], stored["test_label"]
    held = np.arange(len(images)) % 4 == 0
    chosen = held if part == "test" else ~held
    return images[chosen].reshape(-1, 8, 8), labels[chosen]


def lines(count: int, seed: int, part: str = "train", digits: int | None = None) -> tuple[Array, list[list[int]]]:
    """Return lines of as many digits each, (count, 1, 16, 16 a digit) of float32, with noise, and what they say."""
    images, labels = _digits(part)
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(images), (count, digits or int(random.integers(*_DIGITS))))
    drawn = images[chosen].transpose(0, 2, 1, 3).reshape(count, 8, -1)
    large = np.kron(drawn / max(1.0, float(images.max())), np.ones((1, 2, 2)))
    shifted = np.roll(large, random.integers(-1, 2, 2), (1, 2)) + random.normal(
        0, 0.15, (count, _HEIGHT, large.shape[2])
    )
    return shifted[:, None].astype(np.float32), [[int(digit) for digit in labels[row]] for row in chosen]

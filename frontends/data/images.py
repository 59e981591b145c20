"""Folders of images: decoded one by one, resized, cut, and turned into numbers as a network takes them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...ir.errors import CalibrationError
from ...ir.feeds import Feeds
from ...ir.graph import Array
from .form import Form
from .preprocess import HINT, Plan, Preprocess

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "folder"
"""The name of labels that are the folders of images: classes in the order of their names."""

_SUFFIXES = {".jpg", ".jpeg", ".png"}
_PIECE = 16
_HELD = 2**28  # bytes of decoded pixels that are kept for the next pass over the data


def images_in(path: Path) -> list[Path]:
    """Return the images in a folder and in those below it, in an order in which every folder has its turn.

    So any first few samples show all classes.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    turns = [(turn, file) for _, own in groupby(files, lambda file: file.parent) for turn, file in enumerate(own)]
    return [file for _, file in sorted(turns)]


def of_images(path: Path, files: Collection[Path], form: Form, preprocess: Preprocess | None) -> Images:
    """Return images as a source of pieces. Raises CalibrationError where the model takes none, or how is not said."""
    _check_form(path, form)
    _check_library()
    (wanted,) = form.inputs
    if preprocess is None:
        hint = f"add --preprocess: {HINT}"
        raise CalibrationError(f"'{path}' holds images, and nobody says how pixels become numbers", hint=hint)
    classes = {name: number for number, name in enumerate(sorted({_class(path, file) for file in files}))}
    if form.extra and len(classes) < 2:
        raise CalibrationError(f"the images in '{path}' lie in no folders by class", hint="labels are named by these")
    labels = tuple(classes[_class(path, file)] for file in files) if form.extra else ()
    return Images(tuple(files), labels, preprocess.at(wanted))


def _check_form(path: Path, form: Form) -> None:
    if len(form.inputs) != 1:
        why = f"the model has {len(form.inputs)} inputs: {form.listed}"
        raise CalibrationError(f"'{path}' holds images", why=why, hint="give .npz files")
    unknown = form.extra - {FOLDER}
    if unknown:
        why = f"'{min(unknown)}' is in no image"
        raise CalibrationError(f"'{path}' holds images", why=why, hint="--labels folder takes their folders as classes")


def _check_library() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        hint = "pip install 'optimise-onnx[images]'"
        raise CalibrationError("images are read with Pillow, which is not installed", hint=hint) from error


def _class(path: Path, file: Path) -> str:
    return file.relative_to(path).parts[0] if file.parent != path else ""


@dataclass
class Images:
    """Images as pieces of a few; the pixels of the first 256 MiB are kept, others are decoded at every pass."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    plan: Plan
    _kept: dict[int, Array] = field(default_factory=dict, repr=False)

    def __call__(self) -> Iterator[tuple[str, Feeds]]:
        step = _PIECE if self.plan.size else 1
        for start in range(0, len(self.files), step):
            chosen = range(start, min(start + step, len(self.files)))
            pixels = np.stack([self._pixels(number) for number in chosen])
            piece = {self.plan.input.name: self.plan.numbers(pixels)}
            if self.labels:
                piece[FOLDER] = np.array(self.labels[start : start + step])
            yield f"'{self.files[start]}'", piece

    def others(self) -> dict[str, Images]:
        """Return the same images, without labels, under other preprocessing, by what to write for it."""
        plans = {name: replace(self.plan, by=by) for name, by in self.plan.by.others(self.plan.colours)}
        return {name: replace(self, plan=plan, labels=()) for name, plan in plans.items()}

    def _pixels(self, number: int) -> Array:
        if number in self._kept:
            return self._kept[number]
        pixels = _decoded(self.files[number], self.plan)
        if len(self._kept) * pixels.nbytes < _HELD:
            self._kept[number] = pixels
        return pixels


def _decoded(file: Path, plan: Plan) -> Array:
    """Return pixels (height, width, colours), uint8. Raises CalibrationError."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            found = _of_8_bits(opened).convert("L" if plan.colours == 1 else "RGB")
            pixels = np.asarray(found if plan.size is None else _resized(found, plan.size, plan.by.crop))
    except Exception as error:  # whatever the library meets in this file
        raise CalibrationError(f"cannot read '{file}'", why="it is no image, or is cut short") from error
    return pixels.reshape(*pixels.shape[:2], plan.colours)


def _of_8_bits(image: Image) -> Image:
    """Scale grey values of 16 bits down, which a conversion would cut off; others are taken as they are."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value * (255 / 65535)).convert("L")
    if image.mode == "F":
        raise ValueError("floats have no scale")
    return image


def _resized(image: Image, size: tuple[int, ...], crop: float) -> Image:
    """Resize until the image covers ``size / crop``, and cut ``size`` out of the middle; none that has it already."""
    from PIL.Image import Resampling

    height, width = size
    if image.size == (width, height):
        return image
    scale = max(width / crop / image.width, height / crop / image.height)
    whole = (max(round(image.width * scale), width), max(round(image.height * scale), height))
    left, top = (whole[0] - width) // 2, (whole[1] - height) // 2
    return image.resize(whole, Resampling.BILINEAR).crop((left, top, left + width, top + height))

"""Lines of text as a detector of text cuts them out of photographs: words and fonts of this machine, drawn at random.

Words come from Debian's licences and Chinese manual pages (``manpages-zh``), fonts from Debian's ``fonts-*`` packages;
without Chinese ones, lines are Latin only.
"""

import gzip
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path("/usr/share/fonts/truetype")
FAMILIES = re.compile("DejaVu|Liberation|Free(Sans|Serif|Mono)|Roboto|Lato|OpenSans|Inconsolata")
ODD = re.compile("Thin|Hairline|Math|Symbol|Black|ExtraLight")
LONGEST = 24
CHINESE_LONGEST = 11
Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Writer:
    """What lines are drawn from."""

    random: random.Random
    noise: np.random.Generator

    @cached_property
    def words(self) -> list[str]:
        """English words with their punctuation."""
        files = sorted(Path("/usr/share/common-licenses").glob("*"))
        return re.findall(r"[A-Za-z][A-Za-z'-]{1,13}[,.;:]?", " ".join(f.read_text(errors="ignore") for f in files))

    @cached_property
    def chinese(self) -> list[str]:
        """Runs of Chinese characters."""
        pages = sorted(Path("/usr/share/man/zh_CN").glob("man*/*.gz"))
        texts = (gzip.decompress(page.read_bytes()).decode(errors="ignore") for page in pages)
        return [run[:CHINESE_LONGEST] for text in texts for run in re.findall("[\u4e00-\u9fff]{3,14}", text)]

    @cached_property
    def fonts(self) -> dict[bool, list[Path]]:
        """Font files, by whether they hold Chinese characters."""
        latin = [f for f in sorted(FONTS.rglob("*.ttf")) if FAMILIES.search(f.name) and not ODD.search(f.name)]
        return {False: latin, True: sorted(FONTS.glob("wqy/*.ttc"))}

    def line(self) -> tuple[str, Pixels]:
        """Return a text and its picture, (height, width, 3), noisy, sometimes small, blurred or turned a little."""
        share = self.random.random()
        chinese = share < 0.25 and bool(self.chinese) and bool(self.fonts[True])
        if chinese:
            text = self.random.choice(self.chinese)
        else:
            text = self.random.choice(NUMBERS)(self.random) if share < 0.4 else self.phrase()
        return text, self.photograph(self.draw(text, chinese))

    def phrase(self) -> str:
        """Return a few words, now and then in capitals."""
        text = self.random.choice(self.words)
        for _ in range(self.random.randint(0, 4)):
            longer = f"{text} {self.random.choice(self.words)}"
            text = longer if len(longer) <= LONGEST else text
        return text.upper() if self.random.random() < 0.1 else text

    def draw(self, text: str, chinese: bool) -> Image.Image:
        """Write a text, dark on light or light on dark, and turn it by a degree or so."""
        face = ImageFont.truetype(self.random.choice(self.fonts[chinese]), self.random.randint(26, 40))
        left, top, right, bottom = face.getbbox(text)
        margin = self.random.randint(2, 7)
        ranges = [(175, 255), (0, 90)] if self.random.random() < 0.8 else [(0, 80), (170, 255)]
        paper, ink = ((*(self.random.randint(*bounds) for _ in range(3)),) for bounds in ranges)
        size = (int(right - left) + 2 * margin + 6, int(bottom - top) + 2 * margin)
        image = Image.new("RGB", size, paper)
        ImageDraw.Draw(image).text((margin + 3 - left, margin - top), text, font=face, fill=ink)
        return image.rotate(self.random.uniform(-1.2, 1.2), Image.Resampling.BILINEAR, fillcolor=paper)

    def photograph(self, image: Image.Image) -> Pixels:
        """Scale, blur, light from one side, and add noise."""
        scale = 48 / image.height * self.random.choice([1, 1, 0.7, 0.5])
        image = image.resize(tuple(max(8, round(n * scale)) for n in image.size), Image.Resampling.BILINEAR)
        if self.random.random() < 0.6:
            image = image.filter(ImageFilter.GaussianBlur(self.random.uniform(0.2, 1.0)))
        light = np.linspace(-1, 1, image.width)[None, :, None] * self.random.uniform(-25, 25)
        noise = self.noise.normal(0, self.random.uniform(0, 14), (image.height, image.width, 3))
        return np.clip(np.asarray(image, np.float32) + light + noise, 0, 255).astype(np.uint8)


NUMBERS: list[Callable[[random.Random], str]] = [
    lambda r: f"{r.randint(1, 28):02d}.{r.randint(1, 12):02d}.{r.randint(1970, 2026)}",
    lambda r: f"${r.uniform(1, 9999):,.2f}",
    lambda r: f"{r.randint(100, 999)}-{r.randint(1000, 9999)}",
    lambda r: f"No.{r.randint(1, 99999)}",
    lambda r: f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}",
    lambda r: f"{r.randint(1, 100)}%",
    lambda r: f"INV{r.randint(10**6, 10**7)}",
]


def lines(seed: int, count: int) -> list[tuple[str, Pixels]]:
    """Return ``count`` texts with their pictures."""
    writer = Writer(random.Random(seed), np.random.default_rng(seed))
    return [writer.line() for _ in range(count)]


def fitted(pixels: Pixels, height: int, width: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Return a picture as RapidOCR gives it to its networks: (3, height, width), -1 to 1, zeros on the right."""
    wide = min(width, -(-height * pixels.shape[1] // pixels.shape[0]))
    scaled = np.asarray(Image.fromarray(pixels).resize((wide, height), Image.Resampling.BILINEAR), np.float32)
    padded = np.zeros((3, height, width), np.float32)
    padded[:, :, :wide] = scaled.transpose(2, 0, 1) / 127.5 - 1
    return padded

"""Labelled data for deployed networks, made on this machine: lines of text, chords, files by type.

Every function returns inputs by name, samples first, and labels: to calibrate with where no seed is given, else to test
with. Calibration and test differ in seed; files in folder instead.
"""

import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from deployed_text import fitted, lines

Array = np.ndarray[Any, np.dtype[Any]]
Made = tuple[dict[str, Array], Array]
Make = Callable[[Path, int | None], Made]  # (folder of the unpacked package, seed of the test) -> inputs, labels
FIRST_TEST = 2


def text_lines(package: Path, seed: int | None) -> Made:
    """Lines of text, 512 or 1,000 times (3, 48, 320), and what they say."""
    found = lines(1, 512) if seed is None else lines(seed, 1000)
    return {"x": np.stack([fitted(pixels, 48, 320) for _, pixels in found])}, np.array([text for text, _ in found])


def turned_lines(package: Path, seed: int | None) -> Made:
    """Lines of text, every other one upside down, 512 or 1,000 times (3, 48, 192), and whether they are."""
    found = lines(1, 512) if seed is None else lines(seed, 1000)
    turned = np.random.default_rng(3 if seed is None else seed + 2).integers(0, 2, len(found))
    steps = 1 - 2 * turned
    x = [
        fitted(np.ascontiguousarray(pixels[::step, ::step]), 48, 192)
        for (_, pixels), step in zip(found, steps, strict=True)
    ]
    return {"x": np.stack(x)}, turned


RATE, SECONDS, FRAME, FRAMES, LOWEST = 22050, 43844 / 22050, 256, 172, 21


def chords(package: Path, seed: int | None) -> Made:
    """Up to seven notes with overtones and noise, 256 or 200 times (43844, 1), and (172, 88) frames of notes held."""
    own = 3 if seed is None else seed + 2
    draw, noise = random.Random(own), np.random.default_rng(own)
    made = [chord(draw, noise) for _ in range(256 if seed is None else 200)]
    return {"serving_default_input_2:0": np.stack([x for x, _ in made])}, np.stack([y for _, y in made])


def chord(draw: random.Random, noise: np.random.Generator) -> tuple[Array, Array]:
    """Return two seconds of sound, (43844, 1), and which notes sound in which frame, (172, 88)."""
    time = np.arange(round(RATE * SECONDS)) / RATE
    sound, held = np.zeros(len(time)), np.zeros((FRAMES, 88), bool)
    frames = np.arange(FRAMES) * FRAME / RATE
    for _ in range(draw.randint(1, 7)):
        pitch, begin, length = draw.randint(30, 90), draw.uniform(0, 1.6), draw.uniform(0.15, 1.5)
        sounding = (time >= begin) & (time < begin + length)
        sound[sounding] += note(draw, pitch, time[sounding] - begin, length)
        held[(frames >= begin) & (frames < begin + length), pitch - LOWEST] = True
    sound += noise.normal(0, 10 ** draw.uniform(-4, -2), len(sound))
    return (sound / max(1, np.abs(sound).max())).astype(np.float32)[:, None], held


def note(draw: random.Random, pitch: int, time: Array, length: float) -> Array:
    """Return a note that dies away, with slightly sharp overtones below half the sampling rate."""
    base = 440 * 2 ** ((pitch - 69) / 12)
    rise, fall = np.minimum(1, time / 0.01), np.clip((length - time) / 0.02, 0, 1)
    loud = draw.uniform(0.1, 0.5) * np.exp(-draw.uniform(0.5, 5) * time) * rise * fall
    parts = [1, draw.uniform(0.2, 0.9), draw.uniform(0.1, 0.6), draw.uniform(0.05, 0.4), draw.uniform(0, 0.3)]
    phases = [draw.uniform(0, 2 * np.pi) for _ in parts]
    tones = [
        part * np.sin(2 * np.pi * base * n * (1 + 1e-4 * n * n) * time + phase)
        for n, (part, phase) in enumerate(zip(parts, phases, strict=True), 1)
        if base * n < RATE / 2
    ]
    return np.asarray(loud * np.sum(tones, 0))


ROOTS = ("/usr", "/opt", "/etc", "/var/lib")
ENDINGS = {  # what the knowledge base of the package leaves open
    "c": "c", "h": "c", "hpp": "cpp", "py": "python", "js": "javascript", "ts": "typescript", "pl": "perl",
    "pm": "perl", "sh": "shell", "so": "elf", "pyc": "pythonbytecode", "json": "json", "md": "markdown", "rst": "rst",
    "xml": "xml", "yml": "yaml", "yaml": "yaml", "gz": "gzip", "diff": "diff", "patch": "diff",
    "ps": "postscript", "pdf": "pdf",
}  # fmt: skip
TOKENS, PADDING = 1024, 256


def files(package: Path, seed: int | None) -> Made:
    """Beginning and end of files of this machine as 2 × 1,024 bytes, up to 512 or 1,200 files, and their types.

    A third of the folders that hold a type is for calibration. Every seed of the test gives the same files.
    """
    settings = json.loads((package / "magika/models/standard_v3_3/config.min.json").read_text())
    types = settings["target_labels_space"]
    chosen = []
    for kind, paths in sorted(by_type(package, types).items()):
        chosen += [(path, types.index(kind)) for path in part(paths, kind, seed is None)]
    random.Random(0).shuffle(chosen)
    chosen = chosen[: 512 if seed is None else 1200]
    x = np.stack([tokens(path.read_bytes(), settings["block_size"]) for path, _ in chosen])
    return {"bytes": x}, np.array([label for _, label in chosen])


def by_type(package: Path, types: list[str]) -> dict[str, list[Path]]:
    """Return files of more than 64 bytes by the type that their ending says."""
    known = json.loads((package / "magika/config/content_types_kb.min.json").read_text())
    endings = {end.lower(): kind for kind, entry in known.items() for end in entry["extensions"]}
    endings = {end: kind for end, kind in (endings | ENDINGS).items() if kind in types}
    found = defaultdict(list)
    for folder, _, names in (step for root in ROOTS for step in os.walk(root)):
        for path in (Path(folder, name) for name in names):
            kind = endings.get(path.suffix[1:].lower())
            if kind and path.is_file() and not path.is_symlink() and path.stat().st_size > 64:
                found[kind].append(path)
    return found


def part(paths: list[Path], kind: str, calibrate: bool) -> list[Path]:
    """Return 16 files to calibrate with, or 40 from other folders."""
    draw = random.Random(kind)
    folders = sorted({path.parent for path in paths})
    draw.shuffle(folders)
    apart = set(folders[: max(1, len(folders) // 3)]) if len(folders) > 1 else set()
    paths = sorted(path for path in paths if (path.parent in apart) == calibrate)
    draw.shuffle(paths)
    return paths[: 16 if calibrate else 40]


def tokens(content: bytes, block: int) -> Array:
    """Return a file's beginning and end as Magika gives them to its network: white space cut off, padded with 256."""
    begin, end = content[:block].lstrip(), content[-block:].rstrip()
    if len(content) <= block:
        begin = end = content.strip()
    begin, end = begin[:TOKENS], end[-TOKENS:]
    x = np.full(2 * TOKENS, PADDING, np.int32)
    x[: len(begin)] = np.frombuffer(begin, np.uint8)
    x[len(x) - len(end) :] = np.frombuffer(end, np.uint8)
    return x


def written(folder: Path, name: str, make: Make, package: Path, seed: int) -> tuple[Path, Path]:
    """Make a network's data where it is not there yet; return the files to calibrate with and to measure on.

    The first holds inputs only, the second labels under the name ``labels`` too.
    """
    paths = folder / f"{name}-calibration.npz", folder / f"{name}-test-{seed}.npz"
    if not paths[0].exists():
        np.savez(paths[0], **make(package, None)[0])
    if not paths[1].exists():
        inputs, labels = make(package, seed)
        np.savez(paths[1], labels=labels, **inputs)
    return paths

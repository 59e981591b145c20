"""Lay the top-level folders out as sub-packages of ``optimise_onnx``; the metadata lives in ``pyproject.toml``."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

PARTS = ("ir", "frontends", "backends", "passes", "tools")
ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Read ``__version__`` without importing the package, whose dependencies may not be installed yet."""
    tree = ast.parse((ROOT / "src/optimise_onnx/__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise RuntimeError("src/optimise_onnx/__init__.py holds no __version__")


def part_packages(part: str) -> list[str]:
    """Name a part and its sub-packages as they are installed."""
    found = find_packages(str(ROOT / part))
    return [f"optimise_onnx.{part}", *(f"optimise_onnx.{part}.{name}" for name in found)]


setup(
    version=read_version(),
    packages=[*find_packages(str(ROOT / "src")), *(name for part in PARTS for name in part_packages(part))],
    package_dir={"optimise_onnx": "src/optimise_onnx"} | {f"optimise_onnx.{part}": part for part in PARTS},
    package_data={
        "optimise_onnx": ["py.typed"],
        "optimise_onnx.demo": ["digits.onnx", "digits.npz", "README.md"],
        "optimise_onnx.tools.pages": ["*.html", "*.css"],
        "optimise_onnx.tools.schemas": ["*.json"],
        "optimise_onnx.tools.shipped": ["*.yaml"],
    },
)

"""The house rules, held by reading the sources: one direction, lazy frameworks, short files, a clean wheel."""

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("ir", "frontends", "backends", "passes", "tools")
MAY_IMPORT = {
    "ir": {"ir"},
    "frontends": {"frontends", "ir"},
    "backends": {"backends", "ir"},
    "passes": {"passes", "ir"},
    "tools": {*PARTS, "demo"},
    "demo": {"demo"},
}
STAGES = {"cleanup", "decompose", "select", "allocate", "reconstruct"}
STAGE_MAY_IMPORT = {"analysis", "base", "order", "plan"}
ROOMS = {"backends/torch": "torch"}  # where one of these is at home, and which no other room imports on loading
LAZY = {"torch", "tensorflow", "keras", "jax", "tf2onnx", "hls4ml", "da4ml", "matplotlib", "dask", "distributed", "PIL"}
FILE_LINES = 300
FUNCTION_LINES = 40

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def installed_name(file: Path) -> str:
    """Give the dotted name a source file imports as; a package's own ``__init__`` keeps that last component."""
    path = file.relative_to(ROOT).with_suffix("")
    inside = path.relative_to("src/optimise_onnx") if path.parts[0] == "src" else path
    return ".".join(("optimise_onnx", *inside.parts))


def library_files() -> list[Path]:
    """List the sources that are installed."""
    folders = (ROOT / "src/optimise_onnx", *(ROOT / part for part in PARTS))
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def script_files() -> list[Path]:
    """List the sources that are neither installed nor tests."""
    folders = ("examples", "benchmarks", "docs")
    return [ROOT / "setup.py", *sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]


def sources_of_tests() -> list[Path]:
    """List the tests and the models they share."""
    return sorted((ROOT / "tests").rglob("*.py"))


def label(file: Path) -> str:
    """Name a file as seen from the root."""
    return file.relative_to(ROOT).as_posix()


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def targets(node: ast.Import | ast.ImportFrom, importer: str) -> list[str]:
    """Resolve what one import statement names, each as far down as it is spelled."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    above = importer.split(".")[: -node.level] if node.level else []
    stem = [*above, *(node.module.split(".") if node.module else [])]
    return [".".join((*stem, alias.name)) for alias in node.names]


def imports(tree: ast.AST, importer: str) -> Iterator[str]:
    """List every import below a node, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from targets(node, importer)


def imports_on_loading(node: ast.AST, importer: str) -> Iterator[str]:
    """List the imports below a node that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if for_types or isinstance(child, FunctionNode):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from targets(child, importer)
        yield from imports_on_loading(child, importer)


def breaks_direction(importer: str, imported: str) -> bool:
    """Whether one of our modules may not import another, both given by their dotted names."""
    to = imported.split(".")
    if to[0] != "optimise_onnx" or len(to) == 1 or to[1].startswith("__"):
        return False
    at = importer.split(".")
    if at[1] not in MAY_IMPORT:  # the import package itself names what is public
        return False
    if to[1] not in MAY_IMPORT[at[1]]:
        return True
    return at[1] == to[1] == "passes" and breaks_stages(at[2], to[2] if to[2:] else "__init__")


def breaks_stages(at: str, to: str) -> bool:
    """Whether one room of ``passes`` may not import another: stages stand apart, and only pipelines see them."""
    if at == "pipelines" or at == to:
        return False
    return to not in STAGE_MAY_IMPORT if at in STAGES else to in STAGES


def length(function: FunctionNode) -> int:
    """Count a function's lines, from ``def`` on."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize(
    ("importer", "imported", "breaks"),
    [
        ("optimise_onnx.ir.graph", "optimise_onnx.passes.base", True),
        ("optimise_onnx.ir.graph", "optimise_onnx.ir.errors", False),
        ("optimise_onnx.ir.__init__", "optimise_onnx.__name__", False),
        ("optimise_onnx.backends.ort", "optimise_onnx.frontends.load", True),
        ("optimise_onnx.passes.select.obs", "optimise_onnx.passes.select.uniform", False),
        ("optimise_onnx.passes.select.obs", "optimise_onnx.passes.allocate.macs", True),
        ("optimise_onnx.passes.select.obs", "optimise_onnx.passes.manager", True),
        ("optimise_onnx.passes.select.obs", "optimise_onnx.passes", True),
        ("optimise_onnx.passes.analysis.cache", "optimise_onnx.passes.cleanup.dead", True),
        ("optimise_onnx.passes.manager", "optimise_onnx.passes.base", False),
        ("optimise_onnx.passes.pipelines", "optimise_onnx.passes.cleanup.dead", False),
        ("optimise_onnx.tools.cli", "optimise_onnx.demo.paths", False),
    ],
)
def test_the_rule_itself(importer: str, imported: str, breaks: bool) -> None:
    assert breaks_direction(importer, imported) is breaks


def test_relative_imports_are_resolved() -> None:
    node = ast.parse("from ..analysis import channels").body[0]
    assert isinstance(node, ast.ImportFrom)
    assert targets(node, "optimise_onnx.passes.select.obs") == ["optimise_onnx.passes.analysis.channels"]


def test_imports_go_one_way() -> None:
    found = {}
    for file in library_files():
        name = installed_name(file)
        found[label(file)] = [target for target in imports(parse(file), name) if breaks_direction(name, target)]
    assert only(found) == {}


def test_frameworks_are_imported_lazily() -> None:
    found = {}
    for file in library_files():
        room = label(file.parent)
        loaded = imports_on_loading(parse(file), installed_name(file))
        lazy = LAZY - {ROOMS.get(room, "")}
        outside = tuple(f"optimise_onnx.{other.replace('/', '.')}." for other in ROOMS if other != room)
        found[label(file)] = [each for each in loaded if each.split(".")[0] in lazy or each.startswith(outside)]
    assert only(found) == {}


def test_onnxruntime_is_prepared_before_it_is_used() -> None:
    found = {}
    for file in library_files():
        loaded = [target for target in imports(parse(file), installed_name(file)) if target.startswith("onnxruntime")]
        found[label(file)] = [] if file.parent == ROOT / "backends/ort" else loaded
    assert only(found) == {}


def test_files_are_short() -> None:
    files = library_files() + script_files() + sources_of_tests()
    lengths = {label(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: lines for name, lines in lengths.items() if lines >= FILE_LINES} == {}


def test_functions_are_short() -> None:
    found = {}
    for file in library_files() + script_files():
        functions = (node for node in ast.walk(parse(file)) if isinstance(node, FunctionNode))
        found[label(file)] = [node.name for node in functions if length(node) >= FUNCTION_LINES]
    assert only(found) == {}


def only(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Drop the files of which nothing was found."""
    return {file: names for file, names in found.items() if names}


@pytest.mark.parametrize("part", PARTS)
def test_parts_refuse_a_bare_import(part: str) -> None:
    guard = parse(ROOT / part / "__init__.py").body[1]
    assert isinstance(guard, ast.ImportFrom)
    assert targets(guard, f"optimise_onnx.{part}.__init__") == ["optimise_onnx.__name__"]
    bare = subprocess.run([sys.executable, "-c", f"import {part}"], cwd=ROOT, capture_output=True, text=True)
    assert "attempted relative import" in bare.stderr


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build a wheel from a copy, so that no ``build`` folder is left or found, and list what it installs."""
    pytest.importorskip("build")
    copied = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, copied)
    for name in ("src", *PARTS):
        copytree(ROOT / name, copied / name, ignore=ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(copied / "dist"),
        str(copied),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = (copied / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_what_the_folders_hold(wheel_names: set[str]) -> None:
    folders = {"optimise_onnx": ROOT / "src/optimise_onnx"} | {f"optimise_onnx/{part}": ROOT / part for part in PARTS}
    wanted = {
        f"{place}/{file.relative_to(folder).as_posix()}"
        for place, folder in folders.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in wheel_names if name.startswith("optimise_onnx/")} == wanted


def test_nothing_else_lands_at_the_top(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"optimise_onnx"}


def test_sections_of_the_methods_that_sources_cite_are_there() -> None:
    written = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    there = {line[3:].lower().replace(" ", "-") for line in written.splitlines() if line.startswith("## ")}
    sources = [file.read_text(encoding="utf-8") for file in (*library_files(), *sources_of_tests())]
    cited = {name for text in sources for name in re.findall(r"methods\.md#([a-z-]+)", text)}
    assert cited and cited <= there

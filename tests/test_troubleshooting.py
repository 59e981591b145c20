"""Every message that docs/troubleshooting.md explains is one that the sources still hold."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("ir", "frontends", "backends", "passes", "tools")
QUOTED = re.findall(r"^### `(.*)`$", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.M)


@pytest.fixture(scope="module")
def messages() -> set[str]:
    """List the texts in the sources, `…` for what is filled in."""
    files = [file for part in PARTS for file in (ROOT / part).rglob("*.py")]
    return {text for file in files for text in texts(ast.parse(file.read_text(encoding="utf-8")))}


def texts(tree: ast.AST) -> list[str]:
    """List the texts below a node."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def test_filled_in_texts_are_read_as_the_page_writes_them() -> None:
    assert "no '…' in …" in texts(ast.parse("f\"no '{name}' in {place!r}\""))


@pytest.mark.parametrize("quoted", QUOTED)
def test_the_message_stands_in_the_sources(quoted: str, messages: set[str]) -> None:
    assert quoted in messages


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 20 and len(set(QUOTED)) == len(QUOTED)

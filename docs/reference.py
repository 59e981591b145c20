"""A hook of mkdocs: a page for every pass, criterion and recipe, from the code, docs/results.md and reference.yaml."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from optimise_onnx.passes.pipelines import PASSES
from optimise_onnx.passes.select.criteria import OURS
from optimise_onnx.passes.syntax import options
from optimise_onnx.tools.recipes import RECIPES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

DOCS = Path(__file__).parent
TITLES = {"passes": "Passes", "criteria": "Criteria", "recipes": "Recipes"}
NAMES = {"passes": [*PASSES], "criteria": [each.name for each in OURS], "recipes": [*RECIPES]}
FACTS = ("needs", "provides", "carries_out", "preserves")
ROLE = re.compile(r":\w+:`[.~]*([^`]+)`")


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Put the pages into the navigation."""
    pages = [{title: [{name: f"{kind}/{name}.md"} for name in NAMES[kind]]} for kind, title in TITLES.items()]
    assert config.nav is not None
    config.nav.append({"Reference": pages})
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages."""
    from mkdocs.structure.files import File

    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def pages() -> dict[str, str]:
    """Return the text of every page by its place."""
    notes = yaml.safe_load((DOCS / "reference.yaml").read_text(encoding="utf-8"))
    makers = {"passes": _pass, "criteria": _criterion, "recipes": _recipe}
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    found = {}
    for kind, names in NAMES.items():
        for name in names:
            parts = [f"# `{name}`", *makers[kind](name), *_noted(notes[kind][name]), *_cost(name, results)]
            found[f"{kind}/{name}.md"] = "\n\n".join(part for part in parts if part) + "\n"
    return found


def _pass(name: str) -> Iterator[str]:
    kind = PASSES[name]
    yield _prose(kind.__doc__)
    yield _table(("option", "type", "default"), options(kind))
    known = [(fact.replace("_", " "), getattr(kind, fact, None)) for fact in FACTS]  # a property follows the options
    facts = [(fact, sorted(names)) for fact, names in known if isinstance(names, frozenset) and names]
    yield "\n".join(f"* {fact}: {', '.join(f'`{each}`' for each in names)}" for fact, names in facts)
    users = [recipe for recipe, made in RECIPES.items() if re.search(rf"\b{name}\b", made.pipeline)]
    links = ", ".join(f"[`{recipe}`](../recipes/{recipe}.md)" for recipe in users)
    yield f"Recipes with it: {links}." if users else ""


def _criterion(name: str) -> Iterator[str]:
    found = next(each for each in OURS if each.name == name)
    yield _prose(getattr(found, "score", found).__doc__)
    yield f"Paper: {found.paper}."
    needs = ", ".join(f"`{each}`" for each in sorted(found.needs))
    yield f"It needs {needs or 'nothing'} ([what these are](../extend.md#a-criterion))."


def _recipe(name: str) -> Iterator[str]:
    found = RECIPES[name]
    yield f"Source: {found.paper}."
    yield f"What is ours, and why: {found.differs}" if found.differs else ""
    yield f"```\n{found.pipeline}\n```"
    used = [each for each in PASSES if re.search(rf"\b{each}\b", found.pipeline)]
    yield f"Passes: {', '.join(f'[`{each}`](../passes/{each}.md)' for each in used)}."


def _noted(note: Mapping[str, Any]) -> Iterator[str]:
    yield f"**When.** {note['when']}"
    if "formula" in note:
        text = re.sub(r"methods\.md#(\w+)", r"[methods](../methods.md#\1)", note["formula"])
        yield f"**Formula.** {text}" if "](" in text else f"**Formula.** `{text}`"


def _cost(name: str, results: str) -> Iterator[str]:
    """Give the rows of docs/results.md that are its own, under their tables' heads, and where else it stands there."""
    tables, mentioned = [], []
    for section in re.split(r"^## ", results, flags=re.MULTILINE)[1:]:
        title, *blocks = section.split("\n\n")
        link = f"[{title}](../results.md#{_anchor(title)})"
        own = [(before, _own(block, name)) for before, block in zip([title, *blocks], blocks, strict=False)]
        found = [part for before, table in own if table for part in (_led(before), table)]
        if found:
            tables += [f"Under {link}:", *found]
        elif any(f"`{name}`" in block for block in blocks):
            mentioned.append(link)
    if tables or mentioned:
        yield "## What it cost"
    yield from tables
    yield f"Named under {', '.join(mentioned)}." if mentioned else ""


def _led(before: str) -> str:
    """Return what leads to a table: a line that ends in a colon."""
    return before if before.endswith(":") and "](" not in before else ""


def _own(block: str, name: str) -> str:
    """Return a table with the rows of one name alone, or nothing."""
    lines = block.splitlines()
    if len(lines) < 3 or not lines[1].startswith("|---"):
        return ""
    rows = [line for line in lines[2:] if line.strip("| ").split(" |")[0].strip("`, *").split("`,")[0] == name]
    return "\n".join([*lines[:2], *(re.sub(r"\]\((?!http)", "](../", row) for row in rows)]) if rows else ""


def _anchor(title: str) -> str:
    return re.sub(r"[^\w-]+", "-", title.lower()).strip("-")


def _prose(text: str | None) -> str:
    """Turn a docstring into a page's words."""
    plain = ROLE.sub(r"`\1`", textwrap.dedent(f"    {text or ''}")).replace("``", "`")
    return re.sub(r"\(methods\.md#([\w-]+)\)", r"([methods](../methods.md#\1))", plain).strip()


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(f'`{cell}`' if cell else '' for cell in row)} |".replace("||", "\\|") for row in rows]
    return "\n".join(lines) if rows else ""

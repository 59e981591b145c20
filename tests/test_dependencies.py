"""docs/dependencies.md lists what pyproject.toml names, each with its licence."""

import re
import tomllib
from pathlib import Path

import yaml

import optimise_onnx

ROOT = Path(__file__).resolve().parents[1]


def named() -> set[str]:
    """List the packages that pyproject.toml names, those of extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    every = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    return {re.split(r"[\[<>=!~; ]", each)[0].lower() for each in every}


def test_every_dependency_is_listed_with_its_licence() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    listed = {name: licence for name, licence, _ in rows[1:]}
    assert listed.keys() == named()
    assert all(listed.values())


def test_the_lowest_versions_are_those_that_are_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = dict(each.split(">=") for each in project["dependencies"])
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    tried = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert tried.keys() == allowed.keys()
    assert all(f"{tried[name]}.0.0".startswith(f"{lowest}.") for name, lowest in allowed.items())
    assert all(set(tried[name].removeprefix(lowest)) <= {".", "0"} for name, lowest in allowed.items())


def test_the_citation_names_the_ten_papers_and_the_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    methods = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    known = [each.get("doi") or each["identifiers"][0]["value"].removeprefix("arXiv:") for each in cited["references"]]
    assert len(set(known)) == 10 and cited["version"] == optimise_onnx.__version__
    arxiv = [number for number in known if not number.startswith("10.")]
    assert len(arxiv) == 7 and all(number in methods for number in arxiv)

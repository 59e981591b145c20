"""The page of a report: one file that loads nothing, shows what it must, and fits a phone."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest
from zoo import feeds

import optimise_onnx
from optimise_onnx.ir.timing import Latency
from optimise_onnx.tools.pages import view
from optimise_onnx.tools.result import CompressResult

from .conftest import network

MOST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def result() -> CompressResult:
    model = network()
    labels = np.arange(48) % 10
    data = {"x": feeds(model, 0, 48)["x"], "label": labels}
    return optimise_onnx.compress(model, target="macs=0.6x", data=data, labels="label", guard=False, align=1)


@pytest.fixture(scope="module")
def page(result: CompressResult) -> str:
    return result.page("<model>", "optimise-onnx replay out.json")


def test_it_is_one_file_that_loads_nothing(page: str) -> None:
    assert len(page.encode()) < MOST_BYTES
    assert not re.findall(r"<(?:script|link (?!rel=\"icon\" href=\"data:)|img|iframe)", page)
    assert "url(http" not in page and "@import" not in page and 'src="' not in page


def test_it_shows_every_layer_pin_pass_and_node(page: str, result: CompressResult) -> None:
    shown = html.unescape(page)
    report = result.report
    wanted = [line.name for line in report.layers] + [line.pin.why for line in report.pins]
    wanted += [record.name for record in report.records] + ["<model>: macs=0.6x", "optimise-onnx replay out.json"]
    assert [name for name in wanted if name not in shown] == []
    assert "<model>" not in page  # names of models are text
    assert page.count('role="img"') == page.count("<svg") == 6
    narrowed = [line for line in report.layers if line.width[1] < line.width[0]]
    assert narrowed and f"{narrowed[0].width[0]} → {narrowed[0].width[1]}" in shown


def test_links_lead_somewhere_and_every_id_is_there_once(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    links = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(links) <= set(ids)
    assert len([one for one in ids if not one.startswith(("m", "p"))]) == len({i for i in ids if i[0] not in "mp"})


def test_print_shows_the_table_and_notebooks_the_figures(result: CompressResult) -> None:
    assert "MACs" in str(result) and "after / before" in str(result)
    assert "<table>" in result._repr_html_() and "weights" in result._repr_html_()


@pytest.mark.parametrize(
    ("spread", "share", "said", "card"),
    [
        (0.01, 0.5, "takes 50% of the time on this machine;", "0.50×"),
        (0.01, 1.0, "takes as long as before on this machine;", "no difference"),
        (0.6, 1.0, "of the time on this machine, too noisy to tell;", "unclear"),
    ],
)
def test_a_time_that_cannot_be_told_is_not_claimed(
    spread: float, share: float, said: str, card: str, result: CompressResult
) -> None:
    wall = np.ones((9, 2, 2))
    wall[..., 1] = share * (1 + spread * np.linspace(-1, 1, 9)[:, None])
    report = replace(result.report, latency=Latency(wall, None, 1))
    assert said in view.sentence(report) and view.cards(report)[0].left == card

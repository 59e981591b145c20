"""A detector whose boxes and scores are joined in one output, against the same network with two outputs.

    python benchmarks/joined_outputs.py [FOLDER]

A small one-stage detector is trained on drawn shapes (a few minutes, needs torch), written with its outputs joined as
exporters of such detectors do and apart, and compressed to 0.8x of its MACs. What the smaller network detects on other
drawings is held against what the network itself detected: F1 at an overlap of one half.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner

SIDE, CELL, KINDS, WIDTHS = 64, 8, 3, (16, 32, 48)
CELLS = SIDE // CELL
TRAINED, FITTED, JUDGED = 4000, 320, 500
EPOCHS, SCORE, OVERLAP = 40, 0.3, 0.5


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw up to three boxes, discs or crosses an image on noise; return images and, by cell, kind and box."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.15, (count, 3, SIDE, SIDE))
    truth = np.zeros((count, 5, CELLS, CELLS))
    truth[:, 0] = -1
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for place in range(count):
        for _ in range(rng.integers(1, 4)):
            kind, (w, h) = rng.integers(KINDS), rng.uniform(10, 26, 2)
            x, y = rng.uniform(w / 2, SIDE - w / 2), rng.uniform(h / 2, SIDE - h / 2)
            across, down = np.abs(columns - x) / (w / 2), np.abs(rows - y) / (h / 2)
            shape = [np.maximum(across, down) < 1, across**2 + down**2 < 1, np.minimum(across, down) < 0.3][kind]
            shape &= np.maximum(across, down) < 1
            images[place][:, shape] = rng.uniform(0.4, 1, (3, 1))
            truth[place, :, int(y) // CELL, int(x) // CELL] = kind, x, y, w, h
    return images.astype(np.float32), truth.astype(np.float32)


class Detector(nn.Module):
    """A stem and two branches; boxes in pixels, scores before their Sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, *WIDTHS)
        self.stem = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(sizes, sizes[1:], strict=False))
        self.box = nn.ModuleList([nn.Conv2d(48, 32, 3, 1, 1), nn.Conv2d(32, 32, 3, 1, 1), nn.Conv2d(32, 4, 1)])
        self.score = nn.ModuleList([nn.Conv2d(48, 32, 3, 1, 1), nn.Conv2d(32, 32, 3, 1, 1), nn.Conv2d(32, KINDS, 1)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return boxes (n, 4, cells, cells), centres as shares of a cell and sizes of the image, and scores (n, kinds,
        cells, cells).
        """
        for conv in self.stem:
            x = functional.relu(conv(x))
        ends = []
        for branch in (self.box, self.score):
            y = x
            for conv in branch[:-1]:
                y = functional.relu(conv(y))
            ends.append(branch[-1](y))
        return torch.sigmoid(ends[0]), ends[1]


def train() -> Detector:
    """Fit boxes where a shape has its centre, and scores everywhere."""
    torch.manual_seed(0)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    images, truth = (torch.from_numpy(array).to(place) for array in draw(TRAINED, 0))
    model, batch = Detector().to(place), 50
    steps = torch.optim.Adam(model.parameters(), 2e-3)
    for epoch in range(EPOCHS):
        for group in steps.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / EPOCHS)
        for part in torch.randperm(TRAINED).split(batch):
            box, score = model(images[part])
            kind, wanted = truth[part, 0], torch.cat([truth[part, 1:3] % CELL / CELL, truth[part, 3:] / SIDE], 1)
            there = kind >= 0
            hot = functional.one_hot(kind.long().clamp(min=0), KINDS).movedim(-1, 1) * there[:, None]
            loss = functional.binary_cross_entropy_with_logits(score, hot.float(), reduction="sum") / len(part)
            loss = loss + 20 * ((box - wanted).abs() * there[:, None]).sum() / there.sum()
            steps.zero_grad()
            loss.backward()
            steps.step()
    return model.cpu()


class Sheet:
    """Collects the nodes and weights of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node that is called as its output is; return that."""
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def store(self, name: str, values: np.ndarray) -> str:
        """Add a weight."""
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convs(self, x: str, layers: nn.ModuleList, name: str, last: bool = True) -> str:
        """Add convolutions in a row, a Relu behind each, behind the ``last`` too or not."""
        for place, layer in enumerate(layers):
            own = f"{name}{place}"
            stored = [self.store(own + end, p.detach().numpy()) for end, p in layer.named_parameters()]
            pads, strides = [layer.padding[0]] * 4, list(layer.stride)
            x = self.add("Conv", [x, *stored], own, pads=pads, strides=strides)
            x = self.add("Relu", [x], f"{own}_relu") if last or place < len(layers) - 1 else x
        return x

    def pixels(self, shares: str) -> str:
        """Turn shares of cells and of the image into pixels."""
        rows, columns = np.mgrid[:CELLS, :CELLS] * np.float32(CELL)
        origin = self.store("origin", np.stack([columns, rows, 0 * rows, 0 * rows])[None].astype(np.float32))
        unit = self.store("unit", np.array([CELL, CELL, SIDE, SIDE], np.float32).reshape(1, 4, 1, 1))
        return self.add("Add", [self.add("Mul", [shares, unit], "size"), origin], "pixels")


def written(model: Detector, joined: bool) -> onnx.ModelProto:
    """Write the network with one output (n, 4 + kinds, cells²), or with boxes and scores apart."""
    sheet = Sheet()
    stem, flat = sheet.convs("x", model.stem, "stem"), sheet.store("flat", np.array([0, 0, -1]))
    shares, scores = (
        sheet.add("Sigmoid", [sheet.convs(stem, branch, name, last=False)], f"{name}_share")
        for name, branch in (("box", model.box), ("score", model.score))
    )
    ends = [sheet.add("Reshape", [y, flat], name) for y, name in ((sheet.pixels(shares), "boxes"), (scores, "scores"))]
    outs = {"boxes": 4, "scores": KINDS}
    if joined:
        outs = {sheet.add("Concat", ends, "output0", axis=1): 4 + KINDS}
    declared = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", size, CELLS**2]) for n, size in outs.items()]
    entry = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]
    graph = helper.make_graph(sheet.nodes, "detector", entry, declared, sheet.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def detections(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    """Return, by image, the rows (kind, score, x, y, w, h) that are left of the cells' after suppression."""
    values = list(OrtRunner().session(optimise_onnx.load(model)).run({"x": images}).values())
    rows = np.concatenate(values, 1).transpose(0, 2, 1) if len(values) > 1 else values[0].transpose(0, 2, 1)
    return [_suppressed(image) for image in rows]


def _suppressed(rows: np.ndarray) -> np.ndarray:
    kind, score = rows[:, 4:].argmax(1), rows[:, 4:].max(1)
    order = [place for place in np.argsort(-score) if score[place] > SCORE]
    kept: list[int] = []
    for place in order:
        if all(kind[place] != kind[k] or overlap(rows[place], rows[k]) < OVERLAP for k in kept):
            kept.append(int(place))
    return np.column_stack([kind[kept], score[kept], rows[kept, :4]])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    low = np.maximum(a[:2] - a[2:4] / 2, b[:2] - b[2:4] / 2)
    high = np.minimum(a[:2] + a[2:4] / 2, b[:2] + b[2:4] / 2)
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / float(a[2] * a[3] + b[2] * b[3] - both)


def f1(wanted: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Match detections of equal kind greedily by score."""
    hits = 0
    for one, two in zip(wanted, found, strict=True):
        free = list(range(len(one)))
        for row in two:
            match = next((k for k in free if one[k, 0] == row[0] and overlap(one[k, 2:], row[2:]) >= OVERLAP), None)
            if match is not None:
                free.remove(match)
                hits += 1
    return 2 * hits / max(sum(map(len, wanted)) + sum(map(len, found)), 1)


def main() -> None:
    """Train, compress in both forms at several targets, and print a table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "detector.pt"
    model = Detector()
    if weights.exists():
        model.load_state_dict(torch.load(weights))
    else:
        model = train()
        torch.save(model.state_dict(), weights)
    images, truth = draw(JUDGED, 2)
    drawn = [np.column_stack([t[0][t[0] >= 0], t[0][t[0] >= 0], t[1:][:, t[0] >= 0].T]) for t in truth]
    fitted = draw(FITTED, 1)[0]
    itself = f1(drawn, detections(written(model, joined=True), images))
    print(f"F1 of the network itself against the drawings: {100 * itself:.1f}")
    print("| target | F1 joined | F1 apart | error joined | parts |\n|---|---|---|---|---|")
    for target in ("macs=0.8x", "macs=0.6x", "macs=0.4x"):
        line = []
        for joined in (True, False):
            original = written(model, joined)
            onnx.save(original, folder / f"{'joined' if joined else 'apart'}.onnx")
            found = optimise_onnx.compress(original, target=target, data={"x": fitted}, align=1, guard=False)
            line.append(100 * f1(detections(original, images), detections(found.model, images)))
            if joined:
                (seen,) = found.report.fidelity.outputs.values()
        parts = ", ".join(f"{name} {part.error:.3f}" for name, part in seen.parts.items())
        print(f"| {target} | {line[0]:.1f} | {line[1]:.1f} | {seen.error:.3f} | {parts} |", flush=True)


if __name__ == "__main__":
    main()

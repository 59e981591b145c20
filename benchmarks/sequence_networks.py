"""Train a small vision transformer, encoder, decoder or CRNN on a CPU and write it as ONNX.

    python benchmarks/sequence_networks.py vit|bert|gpt|crnn OUT.onnx [--minutes 4] [--shared SHARED]

The encoder says of each character of Python's standard library whether it is part of a keyword, a name, a number, an
operator, a text or a comment, the decoder says which comes next, the CRNN reads lines of handwritten digits, the vision
transformer classifies CIFAR-10 (SHARED/data holds it).
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from sequence_data import BLANK, KINDS, VOCABULARY, Split, lines, passages
from torch import nn
from torch.nn import functional

WIDTH, HEADS, DEPTH, LENGTH = 128, 4, 3, 64
RATE, BATCH = 1.5e-3, 48


class Block(nn.Module):
    """Attention and a perceptron, each behind its own norm and added to what it read."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.norm, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, positions, WIDTH) to the same."""
        parts = self.qkv(self.norm(x)).reshape(-1, x.shape[1], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, x.shape[1], WIDTH))
        return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))


class Text(nn.Module):
    """Characters to scores of their kinds; a decoder, where ``causal``, to scores of characters."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(torch.randn(1, LENGTH, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block(causal) for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY if causal else len(KINDS))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, LENGTH) integers to (batch, LENGTH, classes)."""
        return self.head(self.norm(self.blocks(self.embed(ids) + self.place)))


class Vision(nn.Module):
    """Images of 32 x 32 to scores of ten classes, by patches of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, WIDTH)), nn.Parameter(torch.randn(1, 65, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block(causal=False) for _ in range(DEPTH)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 3, 32, 32) to (batch, 10)."""
        patches = self.patch(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.place
        return self.head(self.norm(self.blocks(h))[:, 0])


class Reader(nn.Module):
    """Lines of digits (batch, 1, 16, width) to scores (batch, width / 4, 11): convolutions, two LSTMs both ways."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inward, outward, stride in ((1, 24, 2), (24, 48, 2), (48, 64, (2, 1))):
            layers += [nn.Conv2d(inward, outward, 3, stride, 1), nn.BatchNorm2d(outward), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.recurrent = nn.LSTM(128, 64, 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, BLANK + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        h = self.features(x)
        return self.head(self.recurrent(h.permute(0, 3, 1, 2).flatten(2))[0])


Step = Callable[[nn.Module], torch.Tensor]


def text_step(data: Split, causal: bool) -> Iterator[Step]:
    """Yield losses of characters that follow, or of kinds."""
    while True:
        ids, kinds = map(torch.from_numpy, data.draw(BATCH))
        given, wanted = (ids[:, :-1], ids[:, 1:]) if causal else (ids, kinds)
        yield lambda model, a=given, b=wanted: functional.cross_entropy(model(a).transpose(1, 2), b)


def image_step(shared: Path) -> Iterator[Step]:
    """Yield losses of classes of images, mirrored and moved."""
    from networks import CIFAR, images
    from vgg16 import changed

    arrays, labels = images("cifar10_train.npz", *CIFAR, 0, None)(shared)
    x, y = torch.from_numpy(arrays["input"]), torch.from_numpy(labels)
    while True:
        chosen = torch.randint(0, len(x), (BATCH,))
        given, wanted = changed(x[chosen]), y[chosen]
        yield lambda model, a=given, b=wanted: functional.cross_entropy(model(a), b)


def line_step() -> Iterator[Step]:
    """Yield losses of lines of digits."""
    seed = 0
    while True:
        seed += 1
        x, wanted = lines(BATCH, seed)
        given = torch.from_numpy(x)
        yield lambda model, a=given, b=wanted: reading_loss(model(a), b)


def reading_loss(scores: torch.Tensor, wanted: list[list[int]]) -> torch.Tensor:
    """Return the connectionist temporal classification loss."""
    lengths = torch.tensor([len(each) for each in wanted])
    steps = torch.full((len(wanted),), scores.shape[1])
    flat = torch.tensor([digit for each in wanted for digit in each])
    return functional.ctc_loss(scores.log_softmax(2).transpose(0, 1), flat, steps, lengths, blank=BLANK)


def train(model: nn.Module, steps: Iterator[Step], minutes: float) -> None:
    """Go down for some minutes of this process, at a rate that rises, then falls to nothing."""
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.02)
    begun, count, done = time.process_time(), 0, 0.0
    while done < 1:
        done = (time.process_time() - begun) / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, count / 100, max(0.0, 1 - done) * 1.5)
        loss = next(steps)(model)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        count += 1
        if count % 200 == 0:
            print(f"{done:.0%}: step {count}, loss {loss.item():.3f}", flush=True)


def write(model: nn.Module, example: torch.Tensor, path: Path, name: str) -> None:
    """Write the network for batches of any size, lines of any width."""
    axes: dict[str, Any] = {"input": {0: "batch"}, "scores": {0: "batch"}}
    if name == "crnn":
        axes = {"input": {0: "batch", 3: "width"}, "scores": {0: "batch", 1: "steps"}}
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["scores"], "dynamic_axes": axes}
    torch.onnx.export(model.eval(), (example,), path, opset_version=17, dynamo=False, **names)


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("vit", "bert", "gpt", "crnn"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if options.name == "vit":
        model, steps, example = Vision(), image_step(options.shared), torch.zeros(2, 3, 32, 32)
    elif options.name == "crnn":
        model, steps, example = Reader(), line_step(), torch.from_numpy(lines(2, 0)[0])
    else:
        causal = options.name == "gpt"
        data = passages(LENGTH + causal, "train")
        model, steps, example = Text(causal), text_step(data, causal), torch.zeros(2, LENGTH, dtype=torch.long)
    train(model, steps, options.minutes)
    write(model, example, options.out, options.name)


if __name__ == "__main__":
    main()

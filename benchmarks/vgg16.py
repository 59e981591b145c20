"""Train VGG-16 with batch normalisation on CIFAR-10 and write it as ONNX.

A minute on a GPU; about eight minutes an epoch on one core of a processor with bfloat16 instructions.

    python benchmarks/vgg16.py SHARED OUT.onnx [--epochs 40]

SHARED is a folder with ``data/cifar10_train.npz``, ``data/cifar10_val.npz`` and ``data/load.py``.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from networks import CIFAR, images
from torch import nn
from torch.nn import functional

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: a pool
BATCH, RATE, DECAY, PAD = 512, 0.2, 5e-4, 4


def network() -> nn.Sequential:
    """Return the thirteen convolutions and one linear layer."""
    layers: list[nn.Module] = []
    channels = 3
    for width in WIDTHS:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, 10))


def changed(x: torch.Tensor) -> torch.Tensor:
    """Mirror half of the images, and move each by up to ``PAD`` pixels."""
    count, size, device = len(x), x.shape[-1], x.device
    x = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, x, x.flip(3))
    wide = functional.pad(x, (PAD,) * 4)
    rows, columns = torch.randint(0, 2 * PAD + 1, (2, count, 1), device=device) + torch.arange(size, device=device)
    return wide[torch.arange(count, device=device)[:, None, None], :, rows[:, :, None], columns[:, None]].permute(
        0, 3, 1, 2
    )


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    """Fit by stochastic gradient descent along one cycle of rates."""
    steps = len(x) // BATCH
    optimiser = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=DECAY, nesterov=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, epochs * steps, pct_start=0.2)
    for epoch in range(epochs):
        order = torch.randperm(len(x), device=x.device)
        for chosen in order.split(BATCH)[:steps]:
            batch = changed(x[chosen]).contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16):
                loss = functional.cross_entropy(model(batch), y[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of right classes in percent."""
    model.eval()
    right = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), y.split(500), strict=True))
    return 100 * right / len(x)


def write(model: nn.Module, path: Path) -> None:
    """Write the network for batches of any size."""
    axes = {"input": {0: "batch"}, "scores": {0: "batch"}}
    example = torch.zeros(1, 3, 32, 32)
    torch.onnx.export(
        model.cpu().eval(),
        (example,),
        path,
        input_names=["input"],
        output_names=["scores"],
        dynamic_axes=axes,
        dynamo=False,
    )


def main() -> None:
    """Train, measure on the validation images, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = network().to(device, memory_format=torch.channels_last)
    sets = (images(f"cifar10_{name}.npz", *CIFAR, 0, None)(options.shared) for name in ("train", "val"))
    (x, y), (vx, vy) = ((torch.tensor(a["input"], device=device), torch.tensor(b, device=device)) for a, b in sets)
    train(model, x, y, options.epochs)
    print(f"top-1 on {len(vx)} validation images: {accuracy(model, vx, vy):.2f}")
    write(model, options.out)


if __name__ == "__main__":
    main()

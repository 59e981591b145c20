"""Train the small residual network that ships as ``optimise_onnx.demo``, and write it there with its samples.

Run from the root of the repository, in about half a minute on two cores::

    pip install '.[torch]' scikit-learn
    python examples/01_train_digits.py

The seeds are fixed; another version of torch or another processor may still round otherwise.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

DEMO = Path(__file__).parents[1] / "src/optimise_onnx/demo"
SEED, EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY = 0, 60, 64, 0.01, 1e-2
TEST_IMAGES, CALIBRATION_IMAGES = 500, 512
PIXEL_MAX = 16.0


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolve with 'same' padding, then normalise."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3)
        self.shortcut = nn.Identity() if (inputs, stride) == (outputs, 1) else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first(x))
        return functional.relu(self.second(inner) + self.shortcut(x))


def network() -> nn.Sequential:
    """Build the network: (n, 1, 8, 8) pixels in [0, 1] to (n, 10) logits, 75 thousand parameters."""
    return nn.Sequential(
        convolution(1, 16, 3),
        nn.ReLU(),
        Residual(16, 16),
        Residual(16, 32, stride=2),
        Residual(32, 32),
        Residual(32, 48, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 10),
    )


def shift(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Move each image by up to one pixel each way, blank pixels coming in at the border."""
    padded = functional.pad(images, (1, 1, 1, 1))
    corners = rng.integers(0, 3, size=(len(images), 2))
    return torch.stack([image[:, y : y + 8, x : x + 8] for image, (y, x) in zip(padded, corners, strict=True)])


def train(images: Tensor, labels: Tensor) -> nn.Sequential:
    """Fit the network for a fixed number of epochs; nothing is chosen by looking at the test images."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = network()
    steps = EPOCHS * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.from_numpy(rng.permutation(len(images)))
        for batch in order[: len(images) // BATCH * BATCH].split(BATCH):
            loss = functional.cross_entropy(model(shift(images[batch], rng)), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def export(model: nn.Module, path: Path) -> None:
    """Write ONNX with any batch size, the batch norms left as nodes of their own."""
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 8, 8),),
        path,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )


def as_input(pixels: np.ndarray) -> Tensor:
    """Scale stored pixels, whole numbers from 0 to 16, to what the network takes."""
    return torch.from_numpy((pixels / PIXEL_MAX).astype(np.float32))


def main() -> None:
    digits = load_digits()
    pixels = digits.images[:, None].astype(np.uint8)
    train_image, test_image, train_label, test_label = train_test_split(
        pixels, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=SEED
    )
    model = train(as_input(train_image), torch.from_numpy(train_label))
    correct = model(as_input(test_image)).argmax(1).numpy() == test_label
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {correct.mean():.1%} of the test images right")
    export(model, DEMO / "digits.onnx")
    np.savez_compressed(
        DEMO / "digits.npz",
        calibration=train_image[:CALIBRATION_IMAGES],
        test_image=test_image,
        test_label=test_label.astype(np.uint8),
    )


if __name__ == "__main__":
    main()

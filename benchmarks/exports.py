"""Export published architectures with random weights, smaller than published, through both exporters of PyTorch.

    python benchmarks/exports.py FOLDER [NAME ...]

Needs torch, torchvision, timm and transformers (``pip install torch torchvision timm transformers onnxscript``).
``-dy`` files come from the exporter on torch.export, at opset 23 with ``-o23``; ``-ts`` files from TorchScript, at
opset 11 with ``-o11``, and with what onnxruntime's optimiser of transformers fuses with ``-opt``.
A route that an exporter refuses, or whose file does not run, is said and left out.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import timm
import torch
import torchvision
import transformers
from onnxruntime.transformers.optimizer import optimize_model
from torch import nn

Built = tuple[nn.Module, torch.Tensor]
SIZE, LAYERS, HEADS, WIDE, WORDS, PLACES = 96, 3, 4, 256, 200, 64
OLDEST, NEWEST = 11, 23
ROUTES = ("dy", "ts")
OLD, NEW, FUSED = f"o{OLDEST}", f"o{NEWEST}", "opt"
TWICE = {
    NEW: ("bert", "gpt2", "llama", "vit", "swin", "clip-vision"),
    OLD: ("resnet18", "densenet121", "shufflenet_v2_x0_5", "lstm", "crnn"),
    FUSED: ("bert", "distilbert", "vit"),
}


class Named(nn.Module):
    """One input and one output of a model that gives several by name."""

    def __init__(self, model: nn.Module, given: str, taken: str) -> None:
        super().__init__()
        self.model, self.given, self.taken = model, given, taken

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the one output."""
        return self.model(**{self.given: x})[self.taken]


def ids() -> torch.Tensor:
    """Two passages of sixteen words."""
    return torch.randint(5, 90, (2, 16))


def language(kind: str, taken: str, **options: Any) -> Callable[[], Built]:
    """A language model of ``transformers``: widths by the names that its configuration has."""

    def build() -> Built:
        network = getattr(transformers, kind)
        given = {"vocab_size": WORDS, "use_cache": False} | options
        return Named(network(network.config_class(**given)), "input_ids", taken), ids()

    return build


def vision(kind: str, taken: str, side: int, **options: Any) -> Callable[[], Built]:
    """A vision model of ``transformers``."""

    def build() -> Built:
        network = getattr(transformers, kind)
        model = network(network.config_class(**options))
        return Named(model, "pixel_values", taken), torch.randn(2, 3, side, side)

    return build


def image(name: str, side: int, **options: Any) -> Callable[[], Built]:
    """A network of ``timm``."""
    return lambda: (timm.create_model(name, pretrained=False, **options), torch.randn(2, 3, side, side))


def classic(name: str, side: int = 64) -> Callable[[], Built]:
    """A network of ``torchvision``."""
    return lambda: (torchvision.models.get_model(name, weights=None, num_classes=10), torch.randn(2, 3, side, side))


class Lines(nn.Module):
    """A CRNN: convolutions over a line of text, two LSTMs both ways, a product."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.recurrent = nn.LSTM(256, 64, 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 1, 32, width) to (batch, width / 4, 20)."""
        return self.head(self.recurrent(self.features(x).permute(0, 3, 1, 2).flatten(2))[0])


class Sentence(nn.Module):
    """Words, one recurrent layer, and classes from its last step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        both = kind == "LSTM"
        self.embed = nn.Embedding(WORDS, 32)
        self.recurrent = getattr(nn, kind)(32, 64, bidirectional=both, batch_first=True)
        self.head = nn.Linear(128 if both else 64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, words) to (batch, 5)."""
        return self.head(self.recurrent(self.embed(x))[0][:, -1])


_LLAMA = {
    "hidden_size": SIZE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 2,
    "intermediate_size": WIDE, "max_position_embeddings": PLACES,
}  # fmt: skip
_BERT = {name: value for name, value in _LLAMA.items() if name != "num_key_value_heads"}
_CLIP = {name: value for name, value in _BERT.items() if name != "max_position_embeddings"}
_SMALL = {"img_size": 64, "depth": 2}
_WINDOWS = {"img_size": 64, "window_size": 4, "embed_dim": 32, "depths": (1, 1, 2), "num_heads": (2, 4, 8)}
_PATCHES = {"img_size": 32, "patch_size": 8, "depth": LAYERS}

MODELS: dict[str, Callable[[], Built]] = {
    "bert": language("BertModel", "last_hidden_state", **_BERT),
    "bert-classifier": language("BertForSequenceClassification", "logits", **_BERT),
    "distilbert": language(
        "DistilBertModel", "last_hidden_state", dim=SIZE, n_layers=LAYERS, n_heads=HEADS, hidden_dim=WIDE,
        max_position_embeddings=PLACES,
    ),
    "gpt2": language("GPT2LMHeadModel", "logits", n_embd=SIZE, n_layer=LAYERS, n_head=HEADS, n_positions=PLACES),
    "llama": language("LlamaForCausalLM", "logits", **_LLAMA),
    "qwen2": language("Qwen2ForCausalLM", "logits", **_LLAMA),
    "qwen3": language("Qwen3ForCausalLM", "logits", head_dim=24, **_LLAMA),
    "clip-vision": vision("CLIPVisionModel", "pooler_output", 32, image_size=32, patch_size=8, **_CLIP),
    "segformer": vision(
        "SegformerForSemanticSegmentation",
        "logits",
        64,
        hidden_sizes=[16, 32, 48, 64],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=64,
    ),
    "vit": image("vit_tiny_patch16_224", 32, embed_dim=SIZE, num_heads=HEADS, **_PATCHES),
    "deit": image("deit_tiny_patch16_224", 32, **_PATCHES),
    "beit": image("beit_base_patch16_224", 32, embed_dim=SIZE, num_heads=HEADS, **_PATCHES),
    "swin": image("swin_tiny_patch4_window7_224", 64, **_WINDOWS),
    "swinv2": image("swinv2_tiny_window8_256", 64, **_WINDOWS),
    "cait": image("cait_xxs24_224", 64, **_SMALL),
    "xcit": image("xcit_nano_12_p16_224", 64, **_SMALL),
    "eva02": image("eva02_tiny_patch14_224", 56, img_size=56, depth=2),
    "maxvit": image("maxvit_rmlp_pico_rw_256", 64, img_size=64),
    "coat": image("coat_tiny", 64, img_size=64),
    "levit": image("levit_128s", 224),
    "mvit": image("mvitv2_tiny", 64, img_size=64),
    **{
        name: image(timm_name, 64)
        for name, timm_name in (
            ("convnext", "convnext_atto"),
            ("convnextv2", "convnextv2_atto"),
            ("mobilevit", "mobilevit_xxs"),
            ("efficientvit", "efficientvit_b0"),
            ("poolformer", "poolformer_s12"),
            ("pvt", "pvt_v2_b0"),
            ("edgenext", "edgenext_xx_small"),
            ("crossvit", "crossvit_tiny_240"),
        )
    },
    **{
        name: classic(name)
        for name in (
            "resnet18", "mobilenet_v3_small", "efficientnet_b0", "densenet121", "shufflenet_v2_x0_5", "squeezenet1_1",
            "regnet_y_400mf", "mnasnet0_5", "googlenet",
        )
    },
    "crnn": lambda: (Lines(), torch.randn(2, 1, 32, 64)),
    "lstm": lambda: (Sentence("LSTM"), ids()),
    "gru": lambda: (Sentence("GRU"), ids()),
    "rnn": lambda: (Sentence("RNN"), ids()),
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One way to export: its name is the end of the file's."""

    name: str

    def write(self, model: nn.Module, x: torch.Tensor, path: Path) -> None:
        """Write with a batch of any size, and passages of any length."""
        free = (0,) if x.ndim > 2 else (0, 1)
        if self.name in ("ts", OLD, FUSED):
            axes = {"x": {axis: f"axis{axis}" for axis in free}, "y": {0: "axis0"}}
            names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
            torch.onnx.export(
                model, (x,), path, opset_version=OLDEST if self.name == OLD else 17, dynamo=False, **names
            )
            if self.name == FUSED:
                fuse(path)
            return
        shapes = (dict.fromkeys(free, torch.export.Dim.DYNAMIC),)
        opset = NEWEST if self.name == NEW else 18
        options: dict[str, Any] = {"dynamic_shapes": shapes, "opset_version": opset, "external_data": False}
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False, **options)


def fuse(path: Path) -> None:
    """Replace a transformer by one of onnxruntime's own operators."""
    kind = "vit" if path.stem.startswith("vit") else "bert"
    optimize_model(str(path), kind, HEADS, SIZE, opt_level=0).save_model_to_file(str(path))


def check_runs(path: Path, x: torch.Tensor) -> None:
    """Run an export on what it was made from: some that claim an open batch run on one sample only."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: x.numpy()})


def main() -> None:
    """Write every model by every route."""
    warnings.filterwarnings("ignore")
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(MODELS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        torch.manual_seed(0)
        model, x = MODELS[name]()
        for route in (*ROUTES, *(other for other, whose in TWICE.items() if name in whose)):
            path = folder / f"{name}-{route}.onnx"
            try:
                Route(route).write(model.eval(), x, path)
                check_runs(path, x)
                print(path, path.stat().st_size, flush=True)
            except Exception as error:  # whatever an exporter meets
                path.unlink(missing_ok=True)
                print(f"{path}: refused by the exporter: {str(error).splitlines()[0][:100]}", flush=True)


if __name__ == "__main__":
    main()

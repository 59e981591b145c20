"""Published methods that no tool offers, in our words, on PyTorch modules.

Filters are ranked by their L1 norm and removed inside blocks only: where one layer makes the channels and one layer
reads them, with nothing but elementwise functions, norms and depthwise layers between (Li et al., "Pruning filters for
efficient ConvNets", ICLR 2017). One share everywhere. What is done about the loss differs:

* nothing, or batch normalisation estimated anew (norms.py);
* ``merged``: a removed filter goes into the most similar one that stays (Kim et al., "Neuron Merging", NeurIPS 2020);
* ``compensated``: the reader's weights are multiplied by a matrix that predicts removed channels from those that stay,
  from second moments of channels alone (as GRAIL does, arXiv 2602.23795).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from .torch_models import LAYERS, batches, layer

Array = np.ndarray[Any, np.dtype[Any]]
Repair = Callable[["Chain", torch.Tensor, torch.Tensor | None], torch.Tensor]
SIMILAR, RIDGE = 0.45, 1e-3
NORMS = (nn.modules.batchnorm._BatchNorm,)
POINTWISE = ("ReLU", "ReLU6", "Clip", "Sigmoid", "HardSwish", "HardSigmoid", "SiLU", "Pool", "Dropout", "GELU")


@dataclass(frozen=True)
class Chain:
    """Layers that make and read channels, and those between that have numbers for each of them."""

    maker: nn.Module
    between: tuple[nn.Module, ...]
    reader: nn.Module

    def cut(self, kept: torch.Tensor, weight: torch.Tensor) -> None:
        """Keep the channels ``kept`` (k,); the reader takes ``weight``, (out, k, ...)."""
        for each in (self.maker, *self.between):
            for name in ("weight", "bias", "running_mean", "running_var"):
                held = getattr(each, name, None)
                if held is not None:
                    held.data = held.data[kept]
            for name in ("out_features", "out_channels", "num_features"):
                if hasattr(each, name):
                    setattr(each, name, len(kept))
            if each is not self.maker and isinstance(each, LAYERS):
                each.groups = each.in_channels = len(kept)
        self.reader.weight.data = weight
        setattr(self.reader, "in_channels" if hasattr(self.reader, "in_channels") else "in_features", len(kept))


def chains(module: fx.GraphModule) -> list[Chain]:
    """Find every pair of layers that is alone with its channels."""
    found = []
    for node in module.graph.nodes:
        maker = layer(module, node)
        if maker is None or getattr(maker, "groups", 1) != 1:
            continue
        between = _numbers(module, node)[1:]
        while len(node.users) == 1:
            node = next(iter(node.users))
            reader = layer(module, node)
            if reader is not None and not _depthwise(reader):
                if getattr(reader, "groups", 1) == 1 and reader.weight.shape[1] == maker.weight.shape[0]:
                    found.append(Chain(maker, tuple(between), reader))
                break
            if not _passes(module, node):
                break
            between += _numbers(module, node)
    return found


def _numbers(module: fx.GraphModule, node: fx.Node) -> list[nn.Module]:
    if node.op != "call_module":
        return []
    inside = module.get_submodule(str(node.target)).modules()
    return [each for each in inside if isinstance(each, (*LAYERS, *NORMS))]


def _depthwise(reader: nn.Module) -> bool:
    groups = getattr(reader, "groups", 1)
    return groups > 1 and groups == reader.in_channels == reader.out_channels


def _passes(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_function":
        return node.target is torch.flatten
    if node.op != "call_module":
        return False
    called = module.get_submodule(str(node.target))
    inner = layer(module, node)
    if inner is not None:
        return _depthwise(inner)
    return isinstance(called, NORMS) or any(word in type(called).__name__ for word in POINTWISE)


def pruned(module: fx.GraphModule, samples: Mapping[str, Array], share: float, repair: Repair) -> fx.GraphModule:
    """Remove a share of the channels of every chain."""
    every = chains(module)
    grams = _grams(module, samples, every) if repair is compensated else {}
    for chain in every:
        norm = chain.maker.weight.detach().abs().flatten(1).sum(1)
        count = max(1, len(norm) - round(share * len(norm)))
        kept = norm.topk(count).indices.sort().values
        chain.cut(kept, repair(chain, kept, grams.get(chain.reader)))
    return module


def dropped(chain: Chain, kept: torch.Tensor, _gram: torch.Tensor | None) -> torch.Tensor:
    """Let the channels go."""
    return chain.reader.weight.data[:, kept]


def merged(chain: Chain, kept: torch.Tensor, _gram: torch.Tensor | None) -> torch.Tensor:
    """Add each removed channel to the kept one with the most similar filter, scaled by their norms."""
    filters = torch.cat([chain.maker.weight.data.flatten(1), chain.maker.bias.data[:, None]], 1)
    length = filters.norm(dim=1).clamp_min(1e-12)
    unit = filters / length[:, None]
    weight = chain.reader.weight.data[:, kept].clone()
    for gone in sorted(set(range(len(filters))) - set(kept.tolist())):
        likeness, place = (unit[kept] @ unit[gone]).max(0)
        if likeness > SIMILAR:
            weight[:, place] += length[gone] / length[kept[place]] * chain.reader.weight.data[:, gone]
    return weight


def compensated(chain: Chain, kept: torch.Tensor, gram: torch.Tensor | None) -> torch.Tensor:
    """Predict all channels from the kept ones by ridge regression on their second moments (n, n)."""
    assert gram is not None
    inner = gram[kept][:, kept]
    ridge = (RIDGE * inner.diagonal().mean() + 1e-12) * torch.eye(len(kept), dtype=gram.dtype)
    shares = torch.linalg.solve(inner + ridge, gram[kept]).to(chain.reader.weight.dtype)  # (kept, all)
    return torch.einsum("oc...,kc->ok...", chain.reader.weight.data, shares).contiguous()


def _grams(module: fx.GraphModule, samples: Mapping[str, Array], every: list[Chain]) -> dict[nn.Module, torch.Tensor]:
    """Sum x x^T over samples and positions, of what every reader reads in the original."""
    found: dict[nn.Module, torch.Tensor] = {}

    def add(reader: nn.Module, given: Any, _out: Any) -> None:
        x = given[0] if isinstance(reader, nn.Linear) else given[0].movedim(1, -1)
        rows = x.flatten(0, -2).double().T
        found[reader] = found.get(reader, 0) + rows @ rows.T

    hooks = [chain.reader.register_forward_hook(add) for chain in every]
    with torch.no_grad():
        for inputs in batches(module, samples):
            module(*inputs)
    for hook in hooks:
        hook.remove()
    return found

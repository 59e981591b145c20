"""How each other tool is called: a model's path, samples by input and an amount in, a smaller model out.

Amounts are shares of channels; every tool has the setting that its own documentation recommends for pruning without
training.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch_pruning as tp
from onnxsim import simplify
from onnxsim.finetune import apply_pruning_finetune
from onnxsim.pruning import apply_structured_pruning, apply_structured_wanda_pruning
from torch import fx, nn
from torch_kirigami import DependencyGraph
from torch_kirigami.pruning import Greedy, GroupMagnitude, ParameterBudget, Pruner

from .torch_models import LAYERS, converted, copied, last_layers

Array = np.ndarray[Any, np.dtype[Any]]
Samples = Mapping[str, Array]
TorchPruner = Callable[[fx.GraphModule, Samples, float], fx.GraphModule]


def onnxsim(path: Path, samples: Samples, amount: float, activations: bool, refit: bool) -> onnx.ModelProto:
    """Prune by weights alone or by weights and activations (Wanda), and solve products again where asked.

    Models are simplified by it first, without which it finds little.
    """
    simple, _ = simplify(onnx.load(path))
    count = len(next(iter(samples.values())))
    feeds = [{name: x[k : k + 1] for name, x in samples.items()} for k in range(count)]
    if activations:
        found = apply_structured_wanda_pruning(simple, feeds, sparsity=amount)
    else:
        found = apply_structured_pruning(simple, sparsity=amount)
    return apply_pruning_finetune(simple, found, calibration_data=feeds) if refit else found


L1 = tp.importance.GroupMagnitudeImportance(p=1, normalizer=None, group_reduction="first")
GROUP = tp.importance.GroupMagnitudeImportance(p=2)


def torch_pruning(module: fx.GraphModule, samples: Samples, amount: float, everywhere: bool) -> fx.GraphModule:
    """Prune by the L1 norm of filters, one share a layer, or by group norm over the whole network (isomorphic).

    Where the tool gives a network that does not run, layers whose groups it cannot prune are left out.
    """
    inputs = tuple(torch.from_numpy(samples[name][:2]) for name in module.inputs)
    names = {id(each): name for name, each in module.named_modules()}
    ignored = {names[id(each)] for each in last_layers(module)}
    try:
        return _pruned(copied(module), inputs, amount, everywhere, ignored)
    except (IndexError, RuntimeError):
        key = (module.source, len(names))
        if key not in _CANNOT:
            _CANNOT[key] = _cannot(module, inputs, ignored)
        return _pruned(module, inputs, amount, everywhere, ignored | _CANNOT[key])


_CANNOT: dict[tuple[str, int], set[str]] = {}


def _pruned(
    module: fx.GraphModule, inputs: tuple[torch.Tensor, ...], amount: float, everywhere: bool, ignored: set[str]
) -> fx.GraphModule:
    left_out = [module.get_submodule(name) for name in ignored]
    pruner = tp.pruner.BasePruner(
        module, inputs, importance=GROUP if everywhere else L1, pruning_ratio=amount, ignored_layers=left_out,
        global_pruning=everywhere, isomorphic=everywhere,
    )  # fmt: skip
    pruner.step()
    module(*inputs)
    return module


def _cannot(module: fx.GraphModule, inputs: tuple[torch.Tensor, ...], ignored: set[str]) -> set[str]:
    """Name the layers without whose first channel the network does not run."""
    found = set()
    for name, each in module.named_modules():
        if isinstance(each, LAYERS) and name not in ignored:
            tried = copied(module)
            graph = tp.DependencyGraph().build_dependency(tried, inputs)
            root = tried.get_submodule(name)
            cut = tp.prune_linear_out_channels if isinstance(root, nn.Linear) else tp.prune_conv_out_channels
            try:
                group = graph.get_pruning_group(root, cut, idxs=[0])
                GROUP(group)
                group.prune()
                tried(*inputs)
            except (IndexError, RuntimeError):
                found.add(name)
    return found


def kirigami(module: fx.GraphModule, samples: Samples, amount: float) -> fx.GraphModule:
    """Prune by the magnitude of whole groups, greedily; here the amount is a share of the parameters."""
    graph = DependencyGraph.build(module, args=tuple(torch.from_numpy(samples[name][:2]) for name in module.inputs))
    pruner = Pruner(module, graph=graph)
    most = round((1 - amount) * sum(each.numel() for each in module.parameters()))
    budget, strategy = ParameterBudget(max_params=most), Greedy(GroupMagnitude(p=2))
    found, _ = pruner.prune(pruner.discover_candidates(), budget=budget, strategy=strategy)
    return found


def read(path: Path, samples: Samples) -> fx.GraphModule:
    """Read a model for a tool of PyTorch."""
    return converted(path, samples)

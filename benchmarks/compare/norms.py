"""Batch normalisation where an exporter has folded it away: put back, and estimated anew after pruning."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from .torch_models import batches

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}


def put_back(module: fx.GraphModule, samples: Mapping[str, Array]) -> fx.GraphModule:
    """Give every convolution a norm with the statistics of its own output, so that no value changes."""
    added = []
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) in KINDS:
                norm = KINDS[type(child)](child.out_channels)
                parent._modules[name] = nn.Sequential(child, norm)
                added.append(norm)
    module.eval()
    estimated(module, samples, identity=True)
    for norm in added:
        with torch.no_grad():
            norm.weight.copy_((norm.running_var + norm.eps).sqrt())
            norm.bias.copy_(norm.running_mean)
    return module


def estimated(module: fx.GraphModule, samples: Mapping[str, Array], identity: bool = False) -> fx.GraphModule:
    """Estimate mean and variance of every norm anew, over all samples.

    Later norms see what earlier ones make of each batch, as in training; with ``identity`` they see the values as they
    are, for norms that were just put there.
    """
    norms = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    if identity:
        taken = [norm.register_forward_hook(lambda _norm, given, _out: given[0]) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    with torch.no_grad():
        for inputs in batches(module, samples):
            module(*inputs)
    for norm in norms:
        norm.eval()
    if identity:
        for hook in taken:
            hook.remove()
    return module

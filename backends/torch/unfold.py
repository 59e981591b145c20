"""A batch norm that was folded into the layer before it, taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...ir.graph import Array
from .found import Product

_LEAST = 1e-6  # of the largest scale: a smaller one would make huge weights


def norms_behind(module: nn.Module, products: tuple[type[nn.Module], ...], run: Any) -> dict[str, str]:
    """Call ``run`` and return which batch norm reads what a layer of the kinds ``products`` gives, by their paths."""
    given: dict[int, tuple[str, Any]] = {}  # the tensors are held, so that no other takes their number
    found: dict[str, str] = {}

    def notes(path: str) -> Any:
        return lambda _part, _args, out: given.__setitem__(id(out), (path, out))

    def asks(path: str) -> Any:
        return lambda _part, args: found.update({given[id(args[0])][0]: path} if id(args[0]) in given else {})

    hooks = [m.register_forward_hook(notes(p)) for p, m in module.named_modules() if isinstance(m, products)]
    hooks += [m.register_forward_pre_hook(asks(p)) for p, m in module.named_modules() if isinstance(m, _BatchNorm)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def unfold(norm: _BatchNorm, product: Product, places: Array, axis: int, bias: Array | None) -> Product:
    """Narrow ``norm`` to the channels ``places`` and return the layer without it.

    Scale, shift and variance stay those of the channels; the mean takes what the repair has changed, for ``bias`` is
    that of the channels as it was, (channels,), and stays. A channel whose scale is nearly 0 gets a norm that changes
    nothing. ``axis`` is the weight's axis of outputs.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    variance = _array(norm.running_var)[places]
    gamma = np.ones(len(places)) if norm.weight is None else _array(norm.weight)[places]
    beta = np.zeros(len(places)) if norm.bias is None else _array(norm.bias)[places]
    scale = gamma / np.sqrt(variance + norm.eps)
    usable = np.abs(scale) > _LEAST * np.abs(scale).max(initial=0.0)
    gamma, variance, scale = (np.where(usable, a, b) for a, b in ((gamma, 1), (variance, 1 - norm.eps), (scale, 1)))
    shape = [-1 if each == axis else 1 for each in range(product.weight.ndim)]
    shift = np.zeros(len(places)) if product.bias is None else product.bias
    own = np.zeros(len(places)) if bias is None else bias[places]
    norm.num_features = len(places)
    narrow = {"running_mean": own + (beta - shift) / scale, "running_var": variance, "weight": gamma, "bias": beta}
    _take(norm, narrow)
    return Product(product.node, product.weight / scale.reshape(shape), None if bias is None else own)


def _take(norm: _BatchNorm, arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if getattr(norm, name) is not None:
            put(norm, name, array)


def put(part: nn.Module, name: str, array: Array) -> None:
    """Replace a parameter or buffer, of another shape perhaps, on its device and with its type."""
    old = getattr(part, name)
    like = next(part.parameters(), torch.zeros(())) if old is None else old
    new = torch.tensor(np.ascontiguousarray(array)).to(like)
    trained = isinstance(like, nn.Parameter)
    setattr(part, name, nn.Parameter(new, requires_grad=like.requires_grad) if trained else new)


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.detach().cpu().double().numpy()
    return array

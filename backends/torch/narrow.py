"""A module with the widths and weights of a compressed graph that was exported from it: people go on training there."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ...ir.errors import LoweringError
from ...ir.feeds import Feeds
from ...ir.graph import Array, Graph
from .found import Found
from .unfold import norms_behind, put, unfold

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
_NAMED = 6
_TOLERANCE = 1e-3  # of the largest output: scales of batch norm are taken out of weights in single precision
_FREE = {"num_batches_tracked"}  # no output depends on it
_REFUSED = "the module cannot take the new widths and weights"


def narrowed(
    module: nn.Module, graph: Graph, kept: Mapping[str, Array], feeds: Feeds, wanted: Mapping[str, Array]
) -> nn.Module:
    """Return a copy of ``module``, in evaluation mode, that computes what ``graph`` does.

    ``kept`` are the indices of channels that are left, by tensor name, where any went; ``wanted`` are the outputs for
    ``feeds``. A batch norm that was folded into a layer is taken out of it again, with the scale and variance that it
    had, so that training goes on. Raises LoweringError with a list of what does not map, or where outputs differ.
    """
    made = copy.deepcopy(module).eval()
    found = Found(graph)
    behind = norms_behind(made, _PRODUCTS, lambda: _called(made, feeds))
    folded = {path: norm for path, norm in behind.items() if found.parameter(norm, "running_var") is None}
    missing: list[str] = []
    for path, part in made.named_modules():
        if isinstance(part, _PRODUCTS):
            norm = made.get_submodule(folded[path]) if path in folded else None
            missing += [] if _narrow_product(path, part, found, norm, kept) else [path]
        elif path not in folded.values():
            missing += _narrow_other(path, part, found, kept)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        why = f"the compressed model has no such layer for {', '.join(map(repr, missing[:_NAMED]))}{more}"
        raise LoweringError(_REFUSED, why=why)
    _check(made, feeds, wanted)
    return made


def _narrow_product(path: str, part: Any, found: Found, norm: Any, kept: Mapping[str, Array]) -> bool:
    """Give a convolution or dense layer its weights; False where there is no layer of its kind."""
    product = found.product(path)
    if product is None or product.weight.shape[2:] != tuple(part.weight.shape[2:]):
        return False
    groups = int(product.node.attribute("group", found.opset, 1)) if "Conv" in product.node.op else 1
    if (groups == 1) != (getattr(part, "groups", 1) == 1):
        return False
    axis = int(isinstance(part, _TRANSPOSED))
    if norm is not None:
        places = kept.get(product.node.outputs[0].name, np.arange(norm.num_features))
        if len(places) != product.weight.shape[axis]:
            return False
        old = None if part.bias is None else part.bias.detach().cpu().double().numpy()
        product = unfold(norm, product, places, axis, old)
    ends = [size * (groups if side else 1) for side, size in enumerate(product.weight.shape[:2])]
    names = ("in", "out") if axis else ("out", "in")
    for name, size in zip(names, ends, strict=True):
        setattr(part, f"{name}_{'features' if isinstance(part, nn.Linear) else 'channels'}", size)
    if hasattr(part, "groups"):
        part.groups = groups
    put(part, "weight", product.weight)
    if product.bias is not None or part.bias is not None:
        outputs = ends[names.index("out")]
        put(part, "bias", np.zeros(outputs) if product.bias is None else product.bias.reshape(outputs))
    return True


def _narrow_other(path: str, part: Any, found: Found, kept: Mapping[str, Array]) -> list[str]:
    """Give any other module its own parameters, and return the paths of those that are not found.

    The scale and shift of a norm that are found nowhere went into the layer behind it, and become 1 and 0.
    """
    missing = []
    own = {**dict(part.named_parameters(recurse=False)), **dict(part.named_buffers(recurse=False))}
    left = next((kept[name] for name in reversed(found.outputs(path)) if name in kept), None)
    for name, old in own.items():
        array = found.parameter(path, name)
        if array is None and isinstance(part, _NORMS) and old.ndim == 1:
            array = np.full(len(old) if left is None else len(left), float(name == "weight"))
        if array is None and name not in _FREE and name in part.state_dict():
            missing.append(f"{path}.{name}" if path else name)
        elif array is not None:
            put(part, name, array if array.ndim == old.ndim else array.reshape(-1))
    _say_width(part)
    if isinstance(part, nn.GroupNorm):
        part.num_groups = found.groups(path) or part.num_groups
    return missing


def _say_width(part: Any) -> None:
    """Bring what a module says of its width in line with its weight."""
    weight = getattr(part, "weight", None)
    if weight is None:
        return
    if isinstance(part, nn.Embedding):
        part.num_embeddings, part.embedding_dim = weight.shape
    for name in ("num_features", "num_channels", "num_parameters"):
        if hasattr(part, name):
            setattr(part, name, len(weight))
    if hasattr(part, "normalized_shape"):
        part.normalized_shape = tuple(weight.shape)


def _called(module: nn.Module, feeds: Feeds) -> list[Array]:
    """Return all outputs. Inputs go by name where the module has these names, else in turn."""
    place = next(iter([*module.parameters(), *module.buffers()]), torch.zeros(())).device
    given = {name: torch.tensor(array).to(place) for name, array in feeds.items()}
    with torch.no_grad():
        known = given.keys() <= inspect.signature(module.forward).parameters.keys()
        out = module(**given) if known else module(*given.values())
    return [each.detach().cpu().numpy() for each in tree_leaves(out) if torch.is_tensor(each)]


def _check(module: nn.Module, feeds: Feeds, wanted: Mapping[str, Array]) -> None:
    try:
        outputs = _called(module, feeds)
    except Exception as error:  # whatever a forward does with widths that it did not expect
        why = f"it does not run: {type(error).__name__}: {str(error).splitlines()[0]}"
        raise LoweringError(
            _REFUSED, why=why, hint="its forward may hold widths as numbers, or forms may have changed"
        ) from error
    if [each.shape for each in outputs] != [each.shape for each in wanted.values()]:
        raise LoweringError(_REFUSED, why="its outputs have other shapes")
    for (name, right), given in zip(wanted.items(), outputs, strict=True):
        largest = float(np.abs(given.astype(np.float64) - right).max(initial=0.0))
        if not largest <= _TOLERANCE * max(float(np.abs(right).max(initial=0.0)), 1e-6):
            raise LoweringError(_REFUSED, why=f"output '{name}' would differ by {largest:.3g}")

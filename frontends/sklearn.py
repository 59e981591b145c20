"""scikit-learn: fitted estimators and pipelines, by skl2onnx; pickled ones where they are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..ir.errors import InvalidModelError
from .given import Given, called, distrusted, existing, is_a, library, suffix
from .scripts import said

ESTIMATOR = "sklearn.base.BaseEstimator"
_WHY = "it is a pickle, and unpickling runs any code that the file names"


class Sklearn:
    """Exports with one float input, ``X``, and probabilities as a tensor."""

    def reads(self, source: object) -> bool:
        """Whether it is an estimator, or a file called ``.joblib``, ``.pkl`` or ``.pickle``."""
        return is_a(source, ESTIMATOR) or suffix(source) in (".joblib", ".pkl", ".pickle")

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Convert. Raises InvalidModelError for what is not fitted or not known, UsageError without skl2onnx."""
        if not is_a(source, ESTIMATOR):
            source = _opened(existing(source), given.trust)
        skl2onnx = library("skl2onnx", source, "sklearn")
        from sklearn.base import is_classifier

        try:
            example = np.zeros((1, source.n_features_in_), np.float32)  # type: ignore[attr-defined]
        except AttributeError as error:
            raise InvalidModelError("the estimator is not fitted", hint="fit it first") from error
        options = {id(source): {"zipmap": False}} if is_classifier(source) else None
        try:
            model: onnx.ModelProto = skl2onnx.to_onnx(source, example, options=options)
        except Exception as error:  # whatever a converter does not know
            raise InvalidModelError(f"skl2onnx cannot convert {called(source)}", why=said(error)) from error
        return model


SKLEARN = Sklearn()


def _opened(path: Path, trust: bool) -> Any:
    if not trust:
        raise distrusted(path, _WHY, "return the model from a function, and give script.py:function")
    joblib = library("joblib", path, "sklearn")
    found = joblib.load(path)
    if not is_a(found, ESTIMATOR):
        raise InvalidModelError(f"'{path}' holds no estimator", why=f"it holds a {type(found).__name__}")
    return found

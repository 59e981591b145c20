"""scikit-learn: a fitted pipeline, in memory and pickled, to a smaller model."""

from pathlib import Path

import numpy as np
import pytest

from optimise_onnx import compress
from optimise_onnx.frontends.given import Given
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import InvalidModelError

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_pipeline_becomes_smaller(tmp_path: Path) -> None:
    import joblib
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    given = rng.normal(size=(200, 12)).astype(np.float32)
    fitted = make_pipeline(StandardScaler(), MLPClassifier((32, 16), max_iter=5, random_state=0))
    fitted.fit(given, given[:, 0] > 0)
    result = compress(fitted, target="params=0.7x", data={"X": given}, guard=False)
    assert result.report.after.parameters <= 0.7 * result.report.before.parameters

    joblib.dump(fitted, tmp_path / "net.joblib")
    graph, _ = load(tmp_path / "net.joblib", given=Given(trust=True))
    assert [t.name for t in graph.inputs] == ["X"]
    with pytest.raises(InvalidModelError, match="not fitted"):
        load(MLPClassifier())

"""The criteria by name."""

from ...ir.registry import Registry
from .activation import ACTIVATION
from .compensation import COMPENSATION
from .criterion import Criterion
from .fisher import FISHER
from .flow import FLOW
from .gate_mean import GATE_MEAN
from .gates import TRAINED_GATES
from .genetic import GENETIC, GENETIC_QUADRATIC
from .geometric_median import GEOMETRIC_MEDIAN
from .interpolative import INTERPOLATIVE
from .lasso import LASSO
from .magnitude import MAGNITUDE, MAGNITUDE_L1
from .obs import OBS
from .obs_swap import OBS_SWAP
from .particle import PARTICLE
from .pivoted_qr import PIVOTED_QR
from .random_order import RANDOM
from .zero_or_similar import ZERO_OR_SIMILAR

OURS: tuple[Criterion, ...] = (
    ACTIVATION,
    COMPENSATION,
    FISHER,
    FLOW,
    TRAINED_GATES,
    GATE_MEAN,
    GENETIC,
    GENETIC_QUADRATIC,
    GEOMETRIC_MEDIAN,
    INTERPOLATIVE,
    LASSO,
    MAGNITUDE,
    MAGNITUDE_L1,
    OBS,
    OBS_SWAP,
    PARTICLE,
    PIVOTED_QR,
    RANDOM,
    ZERO_OR_SIMILAR,
)

CRITERIA: Registry[Criterion] = Registry(
    "criterion", "optimise_onnx.criteria", {each.name: each for each in OURS}, kind=Criterion
)

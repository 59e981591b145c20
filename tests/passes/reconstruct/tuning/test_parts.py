"""What tuning is made of: block ends, weights, batches, steps, and the schedule."""

import digits
import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.ir.errors import BudgetError, UsageError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.ir.memory import memory_limit
from optimise_onnx.passes.analysis.gradients.arrays import NumpyArrays
from optimise_onnx.passes.analysis.gradients.optimiser import Layout, Optimiser, is_matrix, orthogonalised
from optimise_onnx.passes.analysis.statistics.divergence import divergence
from optimise_onnx.passes.reconstruct.tuning.batches import Augment, Batches, augmentation
from optimise_onnx.passes.reconstruct.tuning.ends import block_ends
from optimise_onnx.passes.reconstruct.tuning.examiner import Distance, Examiner, views
from optimise_onnx.passes.reconstruct.tuning.images import planes
from optimise_onnx.passes.reconstruct.tuning.search import Schedule, budget, written
from optimise_onnx.passes.reconstruct.tuning.task import task
from optimise_onnx.passes.reconstruct.tuning.weights import fitting_batch, tunable
from tests.passes.cleanup.support import build, normal


def blocks() -> Graph:
    """A stem, a residual block, a plain convolution and a head."""
    b = Builder("blocks")
    stem = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 6)
    joined = b.relu(b.add(b.conv(b.conv_relu(stem, 4), 6), stem))
    return graph_of(b.model(b.head(b.conv_relu(joined, 8))))


def test_ends_of_blocks_are_what_all_depends_through() -> None:
    graph = blocks()
    ends = block_ends(graph)
    producers = [graph.tensors()[name].producer for name in ends]
    assert [node.op for node in producers if node is not None] == ["Relu", "Relu", "Flatten"]
    inside = {t.name for node in graph.nodes if node.op == "Conv" for t in node.outputs}
    assert not inside & set(ends)


def test_of_several_outputs_what_any_depends_through() -> None:
    weights = {"w": normal(4, 3, 1, 1), "v": normal(2, 4, 1, 1), "u": normal(5, 4, 1, 1)}
    text = "(float[N, 3, 4, 4] x) => (float[N, 2, 4, 4] y, float[N, 5, 4, 4] z) {"
    graph = build(text + " h = Conv(x, w) y = Conv(h, v) z = Conv(h, u) }", weights)
    assert block_ends(graph) == ["h"]


def test_weights_are_those_of_layers_alone() -> None:
    """Not what prepares the input, a mask, a single number, or what another node reads too."""
    weights = {"w": normal(4, 3, 1, 1), "b": normal(4), "mean": normal(1, 3, 1, 1), "shift": normal(1, 4, 1, 1)}
    weights |= {"six": np.array(6.0), "mask": np.array([0.0, 1.0, 1.0, 0.0]).reshape(1, 4, 1, 1)}
    text = """(float[N, 3, 4, 4] x) => (float[N, 4, 4, 4] y) {
        p = Sub(x, mean)  h = Conv(p, w, b)  s = Add(h, shift)  k = Mul(s, mask)  y = Mul(k, six) }"""
    assert [tensor.name for tensor in tunable(build(text, weights))] == ["w", "b", "shift"]
    shared = "(float[N, 4, 4, 4] x) => (float[N, 4, 4, 4] y, int64[4] z) { y = Conv(x, w, b) z = Shape(w) }"
    graph = build(shared, {"w": normal(4, 4, 1, 1), "b": normal(4)})
    assert [tensor.name for tensor in tunable(graph)] == ["b"]


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal(shape).astype(np.float32) for shape in [(5, 12), (12, 5), (8, 8), (6, 9)]]
    for matrix, found in zip(matrices, orthogonalised(matrices, NumpyArrays()), strict=True):
        assert found.shape == matrix.shape
        values = np.linalg.svd(found, compute_uv=False)
        assert values.min() > 0.5 and values.max() < 1.3
        u, _, v = np.linalg.svd(matrix, full_matrices=False)
        assert np.vdot(found, u @ v) > 0.9 * min(matrix.shape) * values.mean()


@pytest.mark.parametrize("shape", [(6, 5), (6,), (6, 1, 3, 3)])
def test_steps_go_down_a_bowl_and_are_as_long_as_asked(shape: tuple[int, ...]) -> None:
    rng, arrays = np.random.default_rng(1), NumpyArrays()
    goals = {
        "w": rng.standard_normal(shape).astype(np.float32),
        "other": rng.standard_normal((4, 7)).astype(np.float32),
    }
    optimiser, layout = Optimiser(rate=0.05, own=0.05), Layout.of(goals)
    goal = arrays.joined([goals[name] for name in layout.shapes])
    state = optimiser.moved(optimiser.start(goal * 0), -goal, optimiser.rates(1, 1.0), layout, arrays)
    for moved in layout.parts(state["weights"]).values():
        assert np.sqrt((moved**2).mean()) == pytest.approx(0.05, rel=0.3)
        assert moved.dtype == np.float32
    for step in range(200):
        rates = optimiser.rates(step + 2, 1 - step / 200)
        state = optimiser.moved(state, state["weights"] - goal, rates, layout, arrays)
    found = layout.parts(state["weights"])
    assert all(np.abs(found[name] - goals[name]).max() < 0.1 for name in goals)
    assert is_matrix(shape) == (shape == (6, 5))


def test_every_sample_comes_before_any_comes_again() -> None:
    samples = {"x": np.arange(10, dtype=np.float32).reshape(10, 1)}
    drawn = Batches(samples, 4, Augment(), {}, np.random.default_rng(0))
    seen = np.concatenate([drawn.draw()["x"].ravel() for _ in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))


def test_images_are_mirrored_and_moved() -> None:
    image = np.arange(2 * 5 * 5, dtype=np.float32).reshape(1, 2, 5, 5) + 1
    flips = Batches({"x": image}, 1, Augment(flip=True), {"x": (2, 3)}, np.random.default_rng(0))
    found = {flips.draw()["x"].tobytes() for _ in range(20)}
    assert found == {image.tobytes(), image[..., ::-1].tobytes()}
    moves = Batches({"x": image}, 1, Augment(crop=1), {"x": (2, 3)}, np.random.default_rng(0))
    wide = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = {wide[:, :, i : i + 5, j : j + 5].tobytes() for i in range(3) for j in range(3)}
    assert {moves.draw()["x"].tobytes() for _ in range(60)} == places


def test_mixed_samples_lie_between_two_and_integers_are_not_mixed() -> None:
    rng = np.random.default_rng(0)
    x = np.array([[0.0], [1.0]], np.float32)
    mixed = np.concatenate([Batches({"x": x}, 2, Augment(mixed=0.5), {}, rng).draw()["x"] for _ in range(20)])
    assert ((mixed >= 0) & (mixed <= 1)).all() and ((mixed > 0) & (mixed < 1)).any()
    whole = Batches({"x": x, "i": np.array([[1], [2]])}, 2, Augment(mixed=0.5), {}, rng).draw()
    assert set(whole["x"].ravel()) == {0.0, 1.0}


def test_budgets_and_changes_of_images_are_read() -> None:
    assert budget("640steps")[0] == budget("640")[0] == 640
    assert budget("5min")[1] == budget("300 s")[1] == 300
    assert augmentation(("flip", "crop4"), 0.2) == Augment(True, 4, 0.2)
    for wrong in ("", "soon", "0steps", "5 weeks", "-3"):
        with pytest.raises(UsageError, match="budget"):
            budget(wrong)
    with pytest.raises(UsageError, match="crop4"):
        augmentation(("rotate",), 0.0)


def test_the_schedule_rises_and_falls_to_nothing() -> None:
    schedule = Schedule(100, np.inf, 8, 0.98)
    shares = [schedule.share(done) for done in np.linspace(0, 1, 41)]
    assert shares[0] == 0 and max(shares) == pytest.approx(1) and shares[-1] == pytest.approx(0)
    assert np.argmax(shares) == 2 and (np.diff(shares[2:]) < 0).all()


def test_block_ends_of_the_shipped_network() -> None:
    assert len(block_ends(digits.network())) >= 5


def test_images_are_known_by_the_window_that_walks_over_them() -> None:
    head = "=> (float[N, 4, 3, 5] y) { s = Mul(x, two) "
    weights = {"w": normal(4, 3, 1, 1), "two": np.array(2.0)}
    plain = build(f"(float[N, 3, 3, 5] x) {head} y = Conv(s, w) }}", weights)
    last = build(f"(float[N, 3, 5, 3] x) {head} t = Transpose<perm = [0, 3, 1, 2]>(s) y = Conv(t, w) }}", weights)
    assert planes(plain) == {"x": (2, 3)} and planes(last) == {"x": (1, 2)}
    flat = build("(float[N, 3, 3, 5] x) => (float[N, 45] y) { y = Flatten(x) }")
    assert planes(flat) == {}


def test_channels_last_and_pairs_of_images_are_changed_alike() -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((6, 4, 5, 3)).astype(np.float32)
    drawn = Batches({"x": image, "depth": image}, 6, Augment(flip=True, crop=1), {"x": (1, 2), "depth": (1, 2)}, rng)
    batch = drawn.draw()
    np.testing.assert_array_equal(batch["x"], batch["depth"])
    assert batch["x"].shape == image.shape
    colours = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} | {(0.0, 0.0, 0.0)}
    assert {tuple(pixel) for pixel in batch["x"].reshape(-1, 3).tolist()} <= colours


def test_images_that_are_none_or_too_small_are_refused() -> None:
    samples = {"x": np.zeros((4, 3, 2, 2), np.float32)}
    with pytest.raises(UsageError, match="no input is an image"):
        Batches(samples, 2, Augment(flip=True), {}, np.random.default_rng(0))
    with pytest.raises(UsageError, match="out of sight"):
        Batches(samples, 2, Augment(crop=2), {"x": (2, 3)}, np.random.default_rng(0))


def test_a_step_that_is_too_large_takes_fewer_samples() -> None:
    graph = blocks()
    assert fitting_batch(graph, 64) == 64
    with memory_limit(300_000):
        assert 1 < fitting_batch(graph, 64) < 64
    with memory_limit(1_000), pytest.raises(BudgetError, match="a step of tuning"):
        fitting_batch(graph, 64)


def test_scores_of_attention_count_where_it_is_written_in_products() -> None:
    """Of 256 positions they are 4 MB a sample at 12 bytes an entry, the operator's own output 12 kB."""
    b = Builder("attention")
    x = b.matmul(b.input("x", ["N", 256, 4]), 4)
    mixed = b.declare(b.node("MultiHeadAttention", [x, x, x], domain="com.microsoft", num_heads=2), ["N", 256, 4])
    graph = graph_of(b.model(b.matmul(mixed, 2)))
    with memory_limit(20_000_000):
        assert fitting_batch(graph, 64) <= 8


@pytest.mark.parametrize(
    ("after", "factor"),
    [((1.0, 2.0), 1.0), ((0.5, 1.0), 0.5), ((1.1, 0.5), 0.524), ((1.3, 0.1), np.inf), ((0.5, np.nan), np.inf)],
)
def test_both_distances_decide(after: tuple[float, float], factor: float) -> None:
    assert distance(*after).over(distance(1.0, 2.0)) == pytest.approx(factor, rel=1e-2)
    assert distance(0.0, 1.0).over(distance(0.0, 2.0)) == pytest.approx(0.5)
    assert distance(0.1, 1.0).over(distance(0.0, 2.0)) == np.inf
    assert distance(0.0, 0.0).over(distance(0.0, 0.0)) == np.inf


def distance(divergence: float, error: float) -> Distance:
    return Distance(np.full(3, divergence), np.full(3, error))


def test_what_chance_may_have_made_is_not_shown() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(1, 2, (2, 2000, 12))
    after = rng.uniform(1, 2, before.shape)
    assert 0.003 < np.mean(shown(before, after)) < 0.02
    assert all(shown(before, before * rng.uniform(0.98, 1.0, before.shape)))
    assert not any(shown(before[..., :1], before[..., :1] / 2)), "one group of samples shows nothing"
    assert not any(shown(before[:, :5] * 0, after[:, :5]))


def shown(before: Array, after: Array) -> list[bool]:
    pairs = zip(before.transpose(1, 0, 2), after.transpose(1, 0, 2), strict=True)
    return [Distance(*now).shown(Distance(*then)) for then, now in pairs]


def test_errors_are_summed_over_what_is_made_of_the_same_samples() -> None:
    """Of 40 images in two views, two at a time: twenty errors, each of four images."""
    graph, runner = blocks(), digits.RUNNER
    images = np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype(np.float32)
    samples = Calibration.from_arrays({"x": images})
    seen = views(graph, samples, Augment(flip=True), np.random.default_rng(1))
    asked = task(graph.copy(), graph, {}, samples, 1.0, 8, runner)
    head = tunable(graph)[-1]
    off = written(graph, {head.name: head.array + np.float32(0.1)})
    found, name = Examiner(asked, seen, runner).of(off), asked.graph.outputs[0].name
    arrays = {"x": np.concatenate([next(view.batches(40))["x"] for view in seen])}
    there, here = (runner.session(each, outputs=[name]).run(arrays)[name].astype(np.float64) for each in (graph, off))
    apart = ((here - there) ** 2).sum(1).reshape(2, 40).sum(0)
    np.testing.assert_allclose(found.errors, apart.reshape(20, 2).mean(1) / 2 * asked.factors[name], rtol=1e-4)
    assert found.error == pytest.approx(apart.sum() / 80 * asked.factors[name], rel=1e-4)
    assert found.divergence == pytest.approx(divergence(there, here, logits=True), rel=1e-4)
    assert len(found.divergences) == 20


def test_samples_apart_are_looked_at_mirrored_and_moved_too() -> None:
    graph = blocks()
    images = np.random.default_rng(0).standard_normal((9, 3, 8, 8)).astype(np.float32)
    samples = Calibration.from_arrays({"x": images})
    seen = views(graph, samples, Augment(flip=True, crop=2, mixed=0.4), np.random.default_rng(1))
    plain, changed = (next(view.batches(32))["x"] for view in seen)
    np.testing.assert_array_equal(plain, images)
    for image, other in zip(images, changed, strict=True):
        wide = [np.pad(way, ((0, 0), (2, 2), (2, 2))) for way in (image, image[..., ::-1])]
        places = [way[:, i : i + 8, j : j + 8] for way in wide for i in range(5) for j in range(5)]
        assert any(np.array_equal(other, place) for place in places)
    assert not np.array_equal(changed, images)
    assert views(graph, samples, Augment(mixed=0.4), np.random.default_rng(1)) == (samples,)

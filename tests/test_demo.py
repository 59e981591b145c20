"""The network and samples that ship with the package."""

import numpy as np
import onnx
import onnxruntime

from optimise_onnx.demo import load_samples, paths


def test_the_network_is_valid_and_small() -> None:
    model, samples = paths()
    onnx.checker.check_model(onnx.load(model), full_check=True)
    assert model.stat().st_size + samples.stat().st_size < 500_000


def test_samples_are_as_documented() -> None:
    samples = load_samples()
    assert samples.calibration.shape == (512, 1, 8, 8)
    assert samples.test_image.shape == (500, 1, 8, 8)
    assert samples.test_label.shape == (500,)
    assert (samples.calibration.min(), samples.calibration.max()) == (0, 1)
    assert samples.calibration.dtype == samples.test_image.dtype == np.float32
    assert set(samples.test_label) == set(range(10))


def test_calibration_and_test_images_are_apart() -> None:
    samples = load_samples()
    calibration = {image.tobytes() for image in samples.calibration}
    assert not any(image.tobytes() in calibration for image in samples.test_image)


def test_the_network_knows_the_digits() -> None:
    samples = load_samples()
    session = onnxruntime.InferenceSession(str(paths()[0]))
    logits = np.asarray(session.run(["logits"], {"image": samples.test_image})[0])
    assert np.mean(logits.argmax(axis=1) == samples.test_label) >= 0.99

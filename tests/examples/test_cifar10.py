import io

import numpy as np
import pandas as pd
from PIL import Image

from tests.examples.running import run

PROGRAM = "benchmarks/cifar10.py"
COUNT = 60


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG")
    return file.getvalue()


def write_images(path, rng):
    """A file as `--write_images` writes it, of images of nothing."""
    arrays = {}
    for split in ("train", "test"):
        images = rng.integers(256, size=(COUNT, 32, 32, 3), dtype="uint8")
        encoded = [jpeg(image) for image in images]
        arrays[f"{split}_sizes"] = np.array([*map(len, encoded)], "int32")
        arrays[f"{split}_bytes"] = np.frombuffer(b"".join(encoded), "uint8")
        arrays[f"{split}_labels"] = rng.integers(10, size=COUNT, dtype="int32")
    np.savez(path, **arrays)


def test_losses_and_learners_are_trained(tmp_path, rng):
    write_images(tmp_path / "images.npz", rng)
    result = run(
        tmp_path,
        PROGRAM,
        "--images=images.npz",
        "--epochs=1",
        "--methods=CE,ELR",
        "--noises=pair flip",
        "--output=out/table.csv",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["method"].tolist() == ["CE", "ELR"]
    assert (table["task"] == "CIFAR-10, pair flip").all()
    # A share of the test images; NaN if a training diverged.
    right = table["accuracy"] * COUNT
    np.testing.assert_allclose(right, np.round(right), atol=1e-4)
    assert right.between(0, COUNT).all()
    accuracy = table["accuracy"].iloc[-1]
    assert f"CIFAR-10, pair flip, ELR: {accuracy:.1%}" in result.stdout

import keras
import pytest

from keras_arl import losses
from tests.examples.running import run

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


def test_it_writes_the_picture(tmp_path):
    losses.save(losses.ARL(), tmp_path / "mine.json")
    result = run(
        tmp_path,
        "plot_losses.py",
        "--losses=ARL,nce+aul,mine.json",
        "--dataset=cifar100",
        "--num_classes=100",
        "--output=new/picture.svg",
    )
    assert result.stdout == "Written to new/picture.svg\n", result.stderr
    picture = (tmp_path / "new" / "picture.svg").read_text()
    assert "<svg" in picture
    for name in ("ARL", "nce+aul", "mine.json", "100 classes"):
        assert f"<!-- {name}" in picture

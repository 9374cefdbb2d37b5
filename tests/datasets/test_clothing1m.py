import io
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from keras_arl import datasets
from keras_arl.datasets.clothing1m import layout

SIZES = {
    "noisy_train": 42,
    "clean_train": 14,
    "clean_validation": 14,
    "clean_test": 28,
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    directory = tmp_path_factory.mktemp("original")
    return datasets.write_fake_clothing1m(directory / "clothing1m", SIZES)


@pytest.fixture
def root(original, tmp_path):
    """A copy to break."""
    return shutil.copytree(original, tmp_path / "manual" / "clothing1m")


def prepare(root, data_dir):
    builder = tfds.builder("clothing1m", data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(root))
    )
    return builder


def keys(root, split):
    return (root / layout.KEY_LISTS[split]).read_text().splitlines()


def pairs(root, name):
    lines = (root / name).read_text().splitlines()
    return {key: int(label) for key, label in (s.rsplit(" ") for s in lines)}


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own test, on the layout as it is given out."""

    DATASET_CLASS = datasets.Clothing1m
    SPLITS = SIZES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._example = tempfile.TemporaryDirectory()
        # TFDS takes this directory for the manual one.
        cls.EXAMPLE_DIR = datasets.write_fake_clothing1m(
            cls._example.name, SIZES
        )

    @classmethod
    def tearDownClass(cls):
        cls._example.cleanup()
        super().tearDownClass()


def test_examples_are_those_of_the_files(original, tmp_path):
    builder = prepare(original, tmp_path)
    clean = pairs(original, layout.CLEAN_LABELS)
    noisy = pairs(original, layout.NOISY_LABELS)
    assert builder.info.features["noisy_label"].names == [*layout.CLASS_NAMES]
    for split, size in SIZES.items():
        examples = list(builder.as_dataset(split=split).as_numpy_iterator())
        assert len(examples) == size
        by_key = {e["key"].decode(): e for e in examples}
        assert sorted(by_key) == sorted(keys(original, split))
        for key, example in by_key.items():
            assert example["clean_label"] == clean.get(key, -1)
            assert example["noisy_label"] == noisy.get(key, -1)
            with Image.open(original / key) as image:
                assert example["image"].shape == (image.height, image.width, 3)
    # An image of the clean training part may have both labels.
    both = set(keys(original, "clean_train")) & noisy.keys()
    assert len(both) == SIZES["clean_train"] // 2


def test_rgb_jpegs_are_kept_as_they_are(original, tmp_path):
    builder = prepare(original, tmp_path)
    raw = builder.as_dataset(
        split="clean_test", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for example in raw.as_numpy_iterator():
        path = original / example["key"].decode()
        assert example["image"] == path.read_bytes()


def test_the_fake_labels_are_wrong_as_often_as_in_clothing1m(tmp_path):
    sizes = {**dict.fromkeys(SIZES, 14), "clean_train": 1000}
    root = datasets.write_fake_clothing1m(tmp_path, sizes)
    clean = pairs(root, layout.CLEAN_LABELS)
    noisy = pairs(root, layout.NOISY_LABELS)
    both = clean.keys() & noisy.keys()
    assert len(both) == 500
    wrong = np.mean([clean[key] != noisy[key] for key in both])
    assert wrong == pytest.approx(0.38, abs=0.05)


def test_fake_data_of_a_seed_is_the_same(tmp_path):
    sizes = dict.fromkeys(SIZES, 14)
    roots = [
        datasets.write_fake_clothing1m(tmp_path / name, sizes, seed=3)
        for name in "ab"
    ]
    files = [
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
        for r in roots
    ]
    assert files[0] == files[1]
    with pytest.raises(ValueError, match=r"must name the splits.*\['test'\]"):
        datasets.write_fake_clothing1m(tmp_path / "c", {"test": 1})


def append(root, name, *lines):
    path = root / name
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("name", [*layout.FILES, layout.IMAGES])
def test_missing_files_are_named_with_what_to_do(root, tmp_path, name):
    path = root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError) as error:
        prepare(root, tmp_path / "data")
    assert f"lacks {name} of Clothing1M" in str(error.value)
    assert "github.com/Cysu/noisy_label" in str(error.value)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (layout.NOISY_LABELS, "images/0/00/a.jpg 14", r"0\.\.13, got 'images"),
        (layout.NOISY_LABELS, "images/0/00/a.jpg -1", r"0\.\.13, got"),
        (layout.NOISY_LABELS, "images/0/00/a.jpg x", r"0\.\.13, got"),
        (layout.CLEAN_LABELS, "images/0/00/a.jpg", r"0\.\.13, got"),
        (layout.CLEAN_LABELS, "7", r"0\.\.13, got '7'"),
        (
            layout.KEY_LISTS["clean_test"],
            "images/0/00/none.jpg",
            "has no label in clean_label_kv.txt",
        ),
        (layout.KEY_LISTS["clean_test"], "../a.jpg", "is no path of an image"),
        (
            layout.KEY_LISTS["noisy_train"],
            "images/../../a.jpg",
            "is no path of an image",
        ),
        (layout.KEY_LISTS["noisy_train"], "/etc/a", "is no path of an image"),
    ],
)
def test_wrong_lines_are_named(root, tmp_path, name, line, message):
    number = append(root, name, line)
    with pytest.raises(ValueError, match=message) as error:
        prepare(root, tmp_path / "data")
    assert f"{root / name}:{number}: " in str(error.value)


def test_labels_that_contradict_each_other(root, tmp_path):
    key, label = next(iter(pairs(root, layout.CLEAN_LABELS).items()))
    append(root, layout.CLEAN_LABELS, f"{key} {label}")
    number = append(root, layout.CLEAN_LABELS, f"{key} {(label + 1) % 14}")
    with pytest.raises(
        ValueError, match=rf":{number}: .* is class .* here and class {label} "
    ):
        prepare(root, tmp_path / "data")


def test_many_faults_are_counted(root, tmp_path):
    append(root, layout.NOISY_LABELS, *(f"images/{k} 99" for k in range(12)))
    with pytest.raises(ValueError, match="and 7 more"):
        prepare(root, tmp_path / "data")


def test_other_class_names(root, tmp_path):
    path = root / layout.CATEGORY_NAMES
    names = path.read_text().splitlines()
    # Another spelling is none of another class.
    path.write_text(
        "\n".join(["t shirt", *names[1:8], "Down Coat", *names[9:]])
    )
    assert layout.read_entries(root, "clean_test")
    path.write_text("\n".join(names[::-1]))
    with pytest.raises(ValueError, match=r"in another order.*Underwear"):
        prepare(root, tmp_path / "data")


def test_an_empty_split(root, tmp_path):
    (root / layout.KEY_LISTS["clean_train"]).write_text("\n")
    with pytest.raises(ValueError, match=r"clean_train_key_list.*no image"):
        prepare(root, tmp_path / "data")


def other_image(mode, format):
    content = io.BytesIO()
    Image.new(mode, (20, 30)).save(content, format)
    return content.getvalue()


def test_bad_images_are_skipped_or_converted_and_counted(
    root, tmp_path, caplog
):
    listed = keys(root, "noisy_train")
    append(root, layout.KEY_LISTS["noisy_train"], *listed[:2])
    whole = (root / listed[0]).read_bytes()
    (root / listed[0]).unlink()
    (root / listed[1]).write_bytes(whole[: len(whole) // 2])
    (root / listed[2]).write_bytes(b"")
    (root / listed[3]).write_bytes(b"<html>404</html>")
    (root / listed[4]).write_bytes(other_image("L", "JPEG"))
    (root / listed[5]).write_bytes(other_image("CMYK", "JPEG"))
    (root / listed[6]).write_bytes(other_image("RGBA", "PNG"))
    (root / listed[7]).write_bytes(other_image("P", "GIF"))
    # Pillow decodes it, TensorFlow does not.
    (root / listed[8]).write_bytes(
        whole[: len(whole) // 2] + b"\xff\xfe" + whole[len(whole) // 2 + 2 :]
    )
    with caplog.at_level(logging.WARNING, logger="absl"):
        builder = prepare(root, tmp_path / "data")
    text = caplog.text
    assert "noisy_train: 37 of 42 images" in text
    for count in (
        "1 missing",
        "4 broken",
        "4 converted to RGB",
        "2 listed again",
    ):
        assert count in text
    path = root / layout.KEY_LISTS["noisy_train"]
    for line in (1, 2, 3, 4, 9):
        assert f"{path}:{line}: {listed[line - 1]}" in text
    examples = builder.as_dataset(split="noisy_train").as_numpy_iterator()
    shapes = {e["key"].decode(): e["image"].shape for e in examples}
    assert len(shapes) == 37
    assert f"{listed[8]}: InvalidArgumentError" in text
    assert not {*listed[:4], listed[8]} & shapes.keys()
    assert all(shapes[key] == (30, 20, 3) for key in listed[4:8])


def test_no_image_at_all(root, tmp_path):
    for path in (root / "images").rglob("*.jpg"):
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"No image of .* can be read"):
        prepare(root, tmp_path / "data")

"""TFDS builder of Clothing1M."""

import collections
import concurrent.futures
import io
import itertools
import typing

import tensorflow_datasets as tfds
from absl import logging

from keras_arl.datasets.clothing1m import layout
from keras_arl.datasets.clothing1m.jpeg import UnreadableImageError
from keras_arl.datasets.clothing1m.jpeg import rgb_jpeg

# Images read ahead, a bound on memory.
_CHUNK = 512
_QUOTED = 5


class Builder(tfds.core.GeneratorBasedBuilder):
    """Clothing1M: images of 14 classes of garments with real label noise.

    `tfds.load("clothing1m", split="noisy_train")` once `keras_arl.datasets`
    is imported. The splits are `noisy_train`, `clean_train`,
    `clean_validation` and `clean_test`. An example is a dictionary of `image`
    (uint8, RGB, as large as it was given out), `noisy_label` and
    `clean_label` (class indices, -1 where there is no such label), and `key`
    (the image's path).

    Faults of the files are told by file and line when the dataset is
    prepared: wrong text files are an error; keys listed twice and images that
    are missing or cannot be decoded are skipped, images that are not RGB
    JPEGs are converted, and the log counts each kind and names the first.

    Reference:
        - Xiao et al., "Learning From Massive Noisy Labeled Data for Image
          Classification", CVPR 2015
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: typing.ClassVar = {"1.0.0": "Initial release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Clothing1M is given out on request, for research: the steps are in
    https://github.com/Cysu/noisy_label. Unpack the archives so that this
    directory holds

      {", ".join(layout.FILES)}
      {layout.IMAGES}/0/... to {layout.IMAGES}/9/...
    """

    def _info(self):
        label = tfds.features.ClassLabel(names=layout.CLASS_NAMES)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "noisy_label": label,
                    "clean_label": label,
                    "key": tfds.features.Text(),
                }
            ),
            supervised_keys=None,
            homepage="https://github.com/Cysu/noisy_label",
        )

    def _split_generators(self, dl_manager):
        root = dl_manager.manual_dir
        missing = layout.missing_files(root)
        if missing:
            raise FileNotFoundError(
                f"{root} lacks {', '.join(missing)} of Clothing1M."
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        # Every text file is read before the first image is.
        read = {
            split: layout.read_entries(root, split)
            for split in layout.KEY_LISTS
        }
        return {
            split: self._generate_examples(root, split, entries, repeated)
            for split, (entries, repeated) in read.items()
        }

    def _generate_examples(self, root, split, entries, repeated):
        skipped = []
        counts = collections.Counter({"listed again": repeated})
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for chunk in _chunks(entries, _CHUNK):
                images = pool.map(lambda e: _read_image(root, e), chunk)
                for entry, (jpeg, fault) in zip(chunk, images, strict=True):
                    if fault:
                        counts[fault.kind] += 1
                    if jpeg is None:
                        place = root / layout.KEY_LISTS[split]
                        skipped.append(
                            f"{place}:{entry.line}: {entry.key}: {fault.detail}"
                        )
                        continue
                    yield (
                        entry.key,
                        {
                            "image": io.BytesIO(jpeg),
                            "noisy_label": entry.noisy_label,
                            "clean_label": entry.clean_label,
                            "key": entry.key,
                        },
                    )
        _report(split, len(entries), counts, skipped)


_Fault = collections.namedtuple("_Fault", ["kind", "detail"])


def _read_image(root, entry):
    """The image as a JPEG, `None` if there is none, and what is wrong."""
    try:
        jpeg, converted = rgb_jpeg((root / entry.key).read_bytes())
    except UnreadableImageError as error:
        return None, _Fault("broken", str(error))
    except OSError as error:
        return None, _Fault("missing", str(error))
    return jpeg, _Fault("converted to RGB", "") if converted else None


def _report(split, total, counts, skipped):
    if len(skipped) == total:
        raise ValueError(
            f"No image of {split} can be read. The first ones:\n"
            + "\n".join(skipped[:_QUOTED])
        )
    found = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    if found:
        logging.warning(
            "Clothing1M %s: %d of %d images; %s. %s",
            split,
            total - len(skipped),
            total,
            found,
            "Skipped are\n" + "\n".join(skipped[:_QUOTED]) if skipped else "",
        )


def _chunks(items, size):
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk

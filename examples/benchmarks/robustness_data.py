"""The data of robustness.py, none of which ARL was searched on."""

import collections
import functools
import importlib
import pathlib
import re
import sysconfig

import numpy as np

import keras_arl


@functools.lru_cache(maxsize=2)
def load(dataset):
    """The data of a dataset, a `keras_arl.datasets.LabelledData`."""
    if dataset == "cifar10_n":
        return keras_arl.datasets.load_dataset("cifar10_n:label")
    if dataset in _LOADERS:
        return _LOADERS[dataset]()
    return keras_arl.datasets.load_dataset(dataset)


# With every Python 3.11 or later, and not too small.
_PACKAGES = (
    "asyncio",
    "collections",
    "concurrent",
    "ctypes",
    "email",
    "html",
    "http",
    "importlib",
    "json",
    "logging",
    "multiprocessing",
    "re",
    "tomllib",
    "unittest",
    "urllib",
    "wsgiref",
    "xml",
    "xmlrpc",
    "zoneinfo",
)
_FEWEST_WORDS = 4


def _lines_of_python():
    """Lines of Python's standard library and the package each is from."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    package_of = {}
    for number, package in enumerate(_PACKAGES):
        for path in sorted((library / package).rglob("*.py")):
            for line in path.read_text(errors="replace").splitlines():
                words = re.findall(r"[A-Za-z]{2,}", line)
                if len(words) >= _FEWEST_WORDS:
                    package_of.setdefault(" ".join(words), number)
    return list(package_of), list(package_of.values()), len(_PACKAGES)


_FEWEST_CHARACTERS = 300


def _names_of_characters():
    """Names of Unicode characters and their general categories."""
    import unicodedata

    category_of = {}
    for code in range(0x110000):
        name = unicodedata.name(chr(code), "")
        # Names that are numbers teach nothing.
        if name and not re.search(r"-[0-9A-F]{4,}$|HANGUL SYLLABLE", name):
            category_of[name] = unicodedata.category(chr(code))
    counts = collections.Counter(category_of.values())
    kept = sorted(k for k, n in counts.items() if n >= _FEWEST_CHARACTERS)
    pairs = [(n, kept.index(k)) for n, k in category_of.items() if k in kept]
    names, categories = zip(*pairs, strict=True)
    return list(names), list(categories), len(kept)


# Of Latin script, some close to each other.
_LANGUAGES = (
    *("cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu"),
    *("id", "it", "lt", "lv", "nb", "nl", "pl", "pt", "ro", "sk"),
    *("sl", "sv", "sw", "tr", "vi"),
)


def _names_of_countries():
    """Names of countries and of languages, and the language they are in.

    Of Unicode's CLDR, which Babel ships. Names that languages share stay with
    each of them, so that some labels are not to be known.
    """
    babel = _imported("babel")
    names, labels = [], []
    for number, language in enumerate(_LANGUAGES):
        locale = babel.Locale.parse(language)
        # Sorted: the file's order is no promise.
        own = sorted({*locale.territories.values(), *locale.languages.values()})
        names += own
        labels += [number] * len(own)
    return names, labels, len(_LANGUAGES)


def _labelled_texts(texts, labels, num_classes, **features):
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=1024,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        **features,
    )
    counts = vectorizer.transform(texts).toarray()
    return _split(counts, labels, num_classes)


def _split(inputs, labels, num_classes, **options):
    """A fifth for testing, in a fixed order."""
    order = np.random.default_rng(0).permutation(len(labels))
    test, pool = np.split(order, [len(order) // 5])
    return _parts(inputs, labels, pool, test, num_classes, **options)


def _parts(inputs, labels, pool, test, num_classes, **options):
    labels = np.asarray(labels, "int64")
    return keras_arl.datasets.LabelledData(
        pool_inputs=inputs[pool],
        pool_labels=labels[pool],
        test_inputs=inputs[test],
        test_labels=labels[test],
        num_classes=num_classes,
        **options,
    )


def _segments_of_images():
    """Regions of outdoor photographs by 18 measurements (UCI), seven kinds."""
    _imported("river")
    from river.datasets import ImageSegments

    pairs = [(list(x.values()), kind) for x, kind in ImageSegments()]
    inputs = np.array([values for values, _ in pairs], "float32")
    kinds = sorted({kind for _, kind in pairs})
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    labels = [kinds.index(kind) for _, kind in pairs]
    return _split(inputs, labels, len(kinds))


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
    *("DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Italic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("cmb10", "cmr10", "cmss10", "cmtt10"),
)
# The test part is of fonts that the pool is not of.
_TEST_FONTS = ("DejaVuSansMono", "STIXGeneralItalic", "cmb10")
_COPIES = 6


def _letters():
    """Latin letters, large and small, in Matplotlib's fonts; 26 classes."""
    rng = np.random.default_rng(0)
    images, labels, fonts = [], [], []
    for font in _LETTER_FONTS:
        for number, letter in enumerate(_LETTERS):
            for character in letter + letter.lower():
                for _ in range(_COPIES):
                    images.append(_drawn(font, character, rng))
                    labels.append(number)
                    fonts.append(font)
    is_test = np.isin(fonts, _TEST_FONTS)
    order = rng.permutation(len(labels))
    return _parts(
        np.array(images),
        labels,
        order[~is_test[order]],
        order[is_test[order]],
        len(_LETTERS),
        scale=255.0,
    )


_SCRIPTS = (
    *("ARABIC", "ARMENIAN", "CANADIAN", "CYRILLIC", "GEORGIAN"),
    *("GREEK", "HEBREW", "LATIN", "LISU", "NKO", "TIFINAGH"),
)
_IMAGES_PER_SCRIPT = 400


def _alphabets():
    """Letters of eleven scripts in DejaVu Sans; which script is it?

    The test part is of letters that the pool is not of.
    """
    import unicodedata

    from matplotlib import ft2font

    rng = np.random.default_rng(0)
    known = ft2font.FT2Font(_font_path("DejaVuSans")).get_charmap()
    images, labels, of_test = [], [], []
    for number, script in enumerate(_SCRIPTS):
        letters = [
            chr(code)
            for code in sorted(known)
            if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lo")
            and unicodedata.name(chr(code), "").startswith(script)
        ]
        letters = rng.permutation(letters)
        for copy in range(_IMAGES_PER_SCRIPT):
            which = copy % len(letters)
            images.append(_drawn("DejaVuSans", letters[which], rng))
            labels.append(number)
            of_test.append(which % 5 == 0)
    is_test = np.array(of_test)
    order = rng.permutation(len(labels))
    return _parts(
        np.array(images),
        labels,
        order[~is_test[order]],
        order[is_test[order]],
        len(_SCRIPTS),
        scale=255.0,
    )


_SIZE = 28


def _drawn(font, character, rng):
    """A character, turned, moved, scaled and with noise: (28, 28, 1) uint8."""
    from PIL import Image
    from PIL import ImageDraw

    image = Image.new("L", (_SIZE, _SIZE))
    x, y = _SIZE / 2 + rng.uniform(-3, 3, size=2)
    ImageDraw.Draw(image).text(
        (x, y),
        character,
        fill=255,
        font=_font(font, int(rng.integers(14, 24))),
        anchor="mm",
    )
    image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
    noisy = np.asarray(image, "float32") + rng.normal(0, 25, (_SIZE, _SIZE))
    return np.clip(noisy, 0, 255).astype("uint8")[..., None]


@functools.cache
def _font(name, size):
    from PIL import ImageFont

    return ImageFont.truetype(_font_path(name), size)


def _font_path(name):
    import matplotlib

    return str(
        pathlib.Path(matplotlib.get_data_path(), "fonts/ttf", f"{name}.ttf")
    )


def _imported(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise RuntimeError(
            f"{name} ships this dataset: pip install 'keras-arl[benchmarks]'"
        ) from None


_LOADERS = {
    "alphabets": _alphabets,
    # Parts of words, since most names are of one word.
    "country_names": lambda: _labelled_texts(
        *_names_of_countries(), analyzer="char_wb", ngram_range=(1, 3)
    ),
    "image_segments": _segments_of_images,
    "letters": _letters,
    "python_library": lambda: _labelled_texts(*_lines_of_python()),
    "unicode_names": lambda: _labelled_texts(*_names_of_characters()),
}

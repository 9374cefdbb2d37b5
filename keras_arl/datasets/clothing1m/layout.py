"""The files of Clothing1M as they are given out: keys, labels and their faults.

Whatever is wrong in a text file is an error that names the file and the line:
a wrong label is worse than none. A key that is listed twice is skipped and
counted.
"""

import dataclasses
import re

CLASS_NAMES = (
    "T-Shirt",
    "Shirt",
    "Knitwear",
    "Chiffon",
    "Sweater",
    "Hoodie",
    "Windbreaker",
    "Jacket",
    "Downcoat",
    "Suit",
    "Shawl",
    "Dress",
    "Vest",
    "Underwear",
)
KEY_LISTS = {
    "noisy_train": "noisy_train_key_list.txt",
    "clean_train": "clean_train_key_list.txt",
    "clean_validation": "clean_val_key_list.txt",
    "clean_test": "clean_test_key_list.txt",
}
NOISY_LABELS = "noisy_label_kv.txt"
CLEAN_LABELS = "clean_label_kv.txt"
CATEGORY_NAMES = "category_names_eng.txt"
IMAGES = "images"
FILES = (*KEY_LISTS.values(), NOISY_LABELS, CLEAN_LABELS, CATEGORY_NAMES)

# TFDS's way to say that there is no label.
NO_LABEL = -1
_QUOTED = 5


@dataclasses.dataclass(frozen=True)
class Entry:
    """An image of a split, as the text files have it.

    Args:
        key: Path of the image within the dataset's directory.
        line: Line of the split's key list that names it.
        noisy_label: Class index, or -1 where there is none.
        clean_label: Class index, or -1 where there is none.
    """

    key: str
    line: int
    noisy_label: int
    clean_label: int


def missing_files(root):
    """Names of the files and folders that a directory lacks, a list."""
    return [name for name in (*FILES, IMAGES) if not (root / name).exists()]


def read_entries(root, split):
    """Reads what a split consists of.

    Args:
        root: Directory of the dataset, an `epath.Path` or `pathlib.Path`.
        split: One of `KEY_LISTS`.

    Returns:
        The pair of a list of `Entry` and the number of keys that were listed
        again and are skipped.

    Raises:
        ValueError: If a line is malformed, a label is no class, two labels of
            one key differ, a key leads out of the directory or lacks the
            split's kind of label, or the class names are others.
    """
    _check_class_names(root / CATEGORY_NAMES)
    labels = {
        name: _read_labels(root / name) for name in (NOISY_LABELS, CLEAN_LABELS)
    }
    required = NOISY_LABELS if split == "noisy_train" else CLEAN_LABELS
    path = root / KEY_LISTS[split]
    entries, seen, repeated, faults = [], set(), 0, []
    for number, key in _lines(path):
        if key in seen:
            repeated += 1
            continue
        seen.add(key)
        if _leads_out(key):
            faults.append(f"{path}:{number}: {key!r} is no path of an image")
        elif key not in labels[required]:
            faults.append(
                f"{path}:{number}: {key!r} has no label in {required}"
            )
        else:
            entries.append(
                Entry(
                    key,
                    number,
                    labels[NOISY_LABELS].get(key, NO_LABEL),
                    labels[CLEAN_LABELS].get(key, NO_LABEL),
                )
            )
    _raise_if_any(faults)
    if not entries:
        raise ValueError(f"{path} lists no image")
    return entries, repeated


def _read_labels(path):
    labels, faults = {}, []
    for number, line in _lines(path):
        # Keys have commas in them, and labels are the last word.
        key, _, text = line.rpartition(" ")
        label = int(text) if re.fullmatch(r"\d{1,9}", text) else None
        if not key or label is None or label >= len(CLASS_NAMES):
            faults.append(
                f"{path}:{number}: expected an image and a class in "
                f"0..{len(CLASS_NAMES) - 1}, got {line!r}"
            )
        elif labels.setdefault(key.strip(), label) != label:
            faults.append(
                f"{path}:{number}: {key!r} is class {label} here and class "
                f"{labels[key.strip()]} above"
            )
    _raise_if_any(faults)
    return labels


def _check_class_names(path):
    def letters(name):
        return re.sub("[^a-z]", "", name.lower())

    found = [name for _, name in _lines(path)]
    if [*map(letters, found)] != [*map(letters, CLASS_NAMES)]:
        raise ValueError(
            f"{path} names other classes, or in another order: expected "
            f"{list(CLASS_NAMES)}, got {found}"
        )


def _lines(path):
    """Numbers, from 1, and text of the lines that are not blank."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _leads_out(key):
    parts = key.replace("\\", "/").split("/")
    return parts[0] != IMAGES or len(parts) < 2 or ".." in parts


def _raise_if_any(faults):
    if faults:
        more = len(faults) - _QUOTED
        tail = [f"and {more} more"] if more > 0 else []
        raise ValueError("\n".join([*faults[:_QUOTED], *tail]))

"""How clothing1m.py trains on each dataset; no program."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained; each flag of the same name changes it."""

    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    decay_epochs: tuple[int, ...]
    weight_decay: float
    resize: int
    crop: int


# Clothing1M as in the papers on noisy labels, since Patrini et al. 2017.
RECIPES = {
    "clothing1m": Recipe("resnet50", 10, 64, 1e-3, (5,), 1e-3, 256, 224),
    "fake": Recipe("tiny", 8, 64, 0.05, (6,), 5e-4, 64, 56),
    "cifar10_n": Recipe("tiny", 15, 128, 0.05, (8, 12), 5e-4, 32, 32),
}


def by_dataset(name):
    """What a flag of the recipe is by default, for --help."""
    values = (f"{getattr(RECIPES[key], name)} ({key})" for key in RECIPES)
    return f"Default: {', '.join(values)}."

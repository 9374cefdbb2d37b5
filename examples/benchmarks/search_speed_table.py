"""What `search_speed.py` prints of its rows."""

REFERENCES = (
    "keras_tuner",
    "keras_tuner_lean",
    "evosax",
    "jax_single",
    "vmap",
)
# Contender, the one it is compared with, and the least ratio by family.
_BARS = [
    ("tensorflow", "keras_tuner", {"mlp": 7, "cnn": 4.5}),
    ("tensorflow_jit", "keras_tuner", {"mlp": 9, "cnn": 3.5}),
    ("jax", "keras_tuner", {"mlp": 20, "cnn": 7}),
    ("jax", "evosax", {"mlp": 1, "cnn": 1}),
    ("jax", "jax_single", {"mlp": 20, "cnn": 20}),
    ("jax", "vmap", {"mlp": 1, "cnn": 1}),
]


def print_table(rows):
    names = ["/keras_tuner", "/lean", "/evosax", "/single", "/vmap"]
    print(
        f"\n{'family':8}{'contender':18}{'width':7}{'first, s':>9}"
        f"{'trials/s':>10}" + "".join(f"{name:>13}" for name in names) + ""
        f"{'of peak':>9}{'of floor':>10}{'accuracy':>10}"
    )
    for row in rows:
        ratios = [
            "-" if ratio is None else f"{ratio:.2f}"
            for ratio in (row[f"ratio_to_{other}"] for other in REFERENCES)
        ]
        print(
            f"{row['family']:8}{row['contender']:18}{row['width']:7}"
            f"{row['first_trial_s']:9.2f}{row['trials_per_s']:10.2f}"
            + "".join(f"{ratio:>13}" for ratio in ratios)
            + f"{row['fraction_of_peak']:9.1%}{row['fraction_of_floor']:10.1%}"
            f"{row['accuracy']:10.3f}"
        )
    print()


def print_bars(rows):
    for contender, other, bars in _BARS:
        for row in rows:
            ratio = row[f"ratio_to_{other}"]
            if row["contender"] != contender or ratio is None:
                continue
            bar = bars[row["family"]]
            print(
                f"{row['family']} {row['width']}: {contender} at least {bar} "
                f"times {other}: "
                f"{'met' if ratio >= bar else 'missed'} ({ratio:.2f})"
            )

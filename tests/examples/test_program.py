import keras
import pytest

from tests.examples.running import EXAMPLES
from tests.examples.running import last_line
from tests.examples.running import run

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)

SOURCE = '''"""Counts."""
import program
from absl import flags

COUNT = flags.DEFINE_integer("count", 1, "Count.", 1)
RATE = flags.DEFINE_float("rate", None, "Rate.")
NAMES = flags.DEFINE_list("names", ["a"], "Names.")
program.positive(RATE)


def main():
    program.listed(NAMES, ["a", "b"])
    if COUNT.value == 2:
        raise ValueError("two is no count")
    if COUNT.value == 3:
        raise KeyboardInterrupt
    if COUNT.value == 4:
        raise TypeError("a mistake of the program's own")
    print("counted", COUNT.value)


program.start(main, "Stopped. It goes on.")
'''
PROGRAMS = [
    path
    for path in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("benchmarks/*.py")]
    if "program.start(" in path.read_text()
]


@pytest.fixture
def counting(tmp_path):
    """Runs the program above."""
    path = tmp_path / "counting.py"
    path.write_text(SOURCE)
    return lambda *flags: run(tmp_path, path, *flags)


def test_a_program_runs(counting):
    result = counting("--count=5", "--rate=0.5", "--names=b,a")
    assert result.returncode == 0
    assert result.stdout == "counted 5\n"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--count=0", "flag --count=0: 0 is not a positive integer"),
        ("--count=x", "flag --count=x: invalid literal for int()"),
        ("--rate=0", "flag --rate=0.0: must be above 0"),
        ("--rate=nan", "flag --rate=nan: must be above 0"),
        ("--names=a,c", "--names must be of a, b, not 'c'"),
        ("--names=", "--names must name at least one"),
        ("--number=1", "Unknown command line flag 'number'"),
        ("stray", "unexpected argument 'stray'; flags begin with --"),
        ("--count=2", "two is no count"),
    ],
)
def test_errors_are_one_line(counting, argument, message):
    result = counting(argument)
    assert last_line(result).startswith(f"counting: {message}")
    assert result.stderr.count("\n") == 1


def test_a_mistake_of_the_program_is_shown_whole(counting):
    assert "TypeError: a mistake of" in counting("--count=4").stderr


def test_ctrl_c_ends_a_program_cleanly(counting):
    result = counting("--count=3")
    assert (result.returncode, result.stderr) == (130, "")
    assert result.stdout == "\nStopped. It goes on.\n"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_help_explains(tmp_path, path):
    documentation = path.read_text().partition('"""')[2]
    result = run(tmp_path, path, "--help")
    assert documentation.splitlines()[0] in result.stdout
    assert f"{path.name}:\n" in result.stdout
    assert last_line(run(tmp_path, path, "--nonsense")).startswith(
        f"{path.stem}: Unknown command line flag 'nonsense'"
    )

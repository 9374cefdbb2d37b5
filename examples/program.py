"""What all programs here share: flags, errors of one line and Ctrl-C.

Bounds of a flag are arguments of absl's `flags.DEFINE_integer`; what is left to
check here is a positive number.
"""

import contextlib
import importlib
import os
import pathlib
import signal
import sys
import tempfile
import threading

from absl import app
from absl import flags
from absl import logging


def start(main, stopped="Stopped."):
    """Parses the flags and runs the program, whose errors are one line.

    Args:
        main: Function of no arguments.
        stopped: What Ctrl-C prints. Defaults to `"Stopped."`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # absl shows the logs of other libraries, too, such as Dask's.
    logging.get_absl_handler().setLevel("WARNING")

    def checked(argv):
        if len(argv) > 1:
            fail(f"unexpected argument {argv[1]!r}; flags begin with --")
        try:
            main()
        except KeyboardInterrupt:
            print(f"\n{stopped}")
            sys.exit(130)
        except (OSError, RuntimeError, ValueError) as error:
            fail(str(error))

    app.run(checked, flags_parser=_parse)


@contextlib.contextmanager
def repeated_interrupts():
    """Repeats a Ctrl-C until it arrives: a destructor may swallow it."""
    if os.name != "posix":
        yield
        return
    heard = threading.Event()

    def interrupt(signum, frame):
        again = threading.Timer(1.0, repeat)
        again.daemon = True
        again.start()
        raise KeyboardInterrupt

    def repeat():
        if not heard.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        heard.set()


def import_quietly(*names):
    """Imports modules, and shows what they print only if that fails.

    TensorFlow 2.21 prints lines about missing CUDA drivers while it is
    imported, whatever `TF_CPP_MIN_LOG_LEVEL` says, past Python's `sys.stderr`.

    Args:
        *names: Names of modules.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            for name in names:
                importlib.import_module(name)
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def fail(message):
    """Ends the program with a message."""
    sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {message}")


def positive(*holders):
    """Has flags checked, when they are parsed, to be above 0 if given."""
    for holder in holders:
        flags.register_validator(
            holder, lambda value: value is None or value > 0, "must be above 0"
        )


def listed(holder, known):
    """Returns the values of a list flag, all of which must be known."""
    for value in holder.value:
        if value not in known:
            fail(
                f"--{holder.name} must be of {', '.join(known)}, not {value!r}"
            )
    if not holder.value:
        fail(f"--{holder.name} must name at least one")
    return holder.value


def _parse(argv):
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        fail(str(error))

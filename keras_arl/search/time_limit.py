"""A limit on the time that a trial takes."""

import signal
import threading

# Again and again, since a destructor swallows an exception.
_REPEAT_SECONDS = 1.0


class _TimeIsUp(BaseException):
    """No `Exception`, which what is interrupted might take for its own."""


def check_available():
    """Raises a `RuntimeError` where `run` cannot interrupt."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        raise RuntimeError(
            "`trial_timeout` needs the main thread of a process on Linux or "
            "macOS. Search there, or without it."
        )


def run(function, seconds):
    """Calls a function in the main thread, and interrupts it in time.

    Code that does not return to Python is interrupted when it does.

    Args:
        function: Function without arguments.
        seconds: The limit; `None` is none.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: If the time is up.
    """
    if seconds is None:
        return function()
    is_on = True

    def interrupt(signum, frame):
        if is_on:
            raise _TimeIsUp

    previous = signal.signal(signal.SIGALRM, interrupt)
    # No context manager: between its frames a signal would escape.
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)
            return function()
        finally:
            is_on = False
    except _TimeIsUp as error:
        raise TimeoutError(
            f"the trial took longer than trial_timeout={seconds:g} s"
        ) from error
    finally:
        is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

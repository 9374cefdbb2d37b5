"""A limit on the time that a trial takes."""

import contextlib
import ctypes
import faulthandler
import signal
import sys
import threading

# Again and again, since a destructor swallows an exception.
_REPEAT_SECONDS = 1.0
# What code that does not return to Python is given beyond the limit: as long
# again, at most this.
_GRACE_SECONDS = 5.0


class _TimeIsUp(BaseException):
    """No `Exception`, which what is interrupted might take for its own."""


def run(function, seconds, may_exit=False):
    """Calls a function, and interrupts it in time.

    Code that does not return to Python cannot be interrupted before it does.
    Where the process may end, it does after a
    grace of as long again or 5 seconds, whichever is less.

    Args:
        function: Function without arguments.
        seconds: The limit; `None` is none.
        may_exit: Whether the process may end. Defaults to `False`.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: If the time is up.
    """
    if seconds is None:
        return function()
    in_main_thread = threading.current_thread() is threading.main_thread()
    interrupting = (
        _by_signal
        if in_main_thread and hasattr(signal, "setitimer")
        else _by_exception
    )
    grace = min(seconds, _GRACE_SECONDS)
    try:
        with _exiting(seconds + grace) if may_exit else _no_context():
            return interrupting(function, seconds)
    except _TimeIsUp as error:
        raise TimeoutError(
            f"the trial took longer than trial_timeout={seconds:g} s"
        ) from error


_no_context = contextlib.nullcontext


@contextlib.contextmanager
def _exiting(seconds):
    # A thread of C, which needs no lock of the interpreter.
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _by_signal(function, seconds):
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
    finally:
        is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _by_exception(function, seconds):
    """For threads, to which no signal comes: those of Dask's workers."""
    thread = threading.get_ident()
    lock = threading.Lock()
    over = threading.Event()

    def interrupt():
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    _raise_in(thread, _TimeIsUp)
            wait = _REPEAT_SECONDS

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        return function()
    finally:
        with lock:
            over.set()
        # One that has been sent and has not come yet must not come later.
        _raise_in(thread, None)


def _raise_in(thread, exception):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread),
        None if exception is None else ctypes.py_object(exception),
    )

"""Work in several threads."""

import concurrent.futures
import os


def num_cores():
    """Number of cores that this process may use."""
    # Not all systems tell which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def in_threads(function, values, num_threads):
    """`map` in several threads; in this one where it is one."""
    if num_threads == 1:
        yield from map(function, values)
        return
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        yield from pool.map(function, values)
    finally:
        pool.shutdown(cancel_futures=True)

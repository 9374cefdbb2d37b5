"""A cluster of Dask that evaluates the jobs of a search."""

import contextlib
import ipaddress
import itertools
import os
import time
import warnings

import distributed

# How often the scheduler hears of a worker, at least, in seconds.
_WORKER_TTL = 60.0
# How often workers are set up if one of them ends meanwhile.
_SETUP_TRIES = 5
# How often the scheduler is asked for its workers, at most.
_LOOK_SECONDS = 0.5


class DaskCluster(contextlib.AbstractContextManager):
    """The workers of a `dask.distributed.Client`, which stays open.

    With Dask's own defaults a search may hang for ever: a worker whose memory
    is four fifths full pauses and never goes on where a compiled network leaves
    some behind (https://github.com/dask/distributed/issues/3761), and a
    silent worker is missed after five minutes. Both are set here, for workers
    that come later, too.

    Args:
        client: A `distributed.Client`.

    Raises:
        ValueError: If a worker has more than one thread.
        ConnectionError: If the scheduler does not answer.
    """

    def __init__(self, client):
        self._client = client
        self._keys = itertools.count()
        self._num_workers, self._last_look = 0, -float("inf")
        self._check_threads()
        client.run_on_scheduler(_set_up_scheduler, _WORKER_TTL)
        self._set_up_workers()
        self._warn_of_open_pages()

    @property
    def capacity(self):
        return max(2 * self.num_workers(), 1)

    def submit(self, function, *args):
        """Returns a future of Dask's."""
        self._check_connected()
        # To Dask two equal calls are one, but for their keys.
        key = f"keras_arl-{os.getpid()}-{id(self)}-{next(self._keys)}"
        return self._client.submit(
            function, *args, key=key, pure=False, retries=0
        )

    def num_workers(self):
        self._check_connected()
        now = time.monotonic()
        if now - self._last_look > _LOOK_SECONDS:
            self._last_look = now
            self._num_workers = len(self._client.nthreads())
        return self._num_workers

    def cancel(self, future):
        self._client.cancel([future], force=True)

    def check(self, error):
        """Says so if the scheduler is gone."""
        self._check_connected()

    def __exit__(self, *_):
        pass

    def _check_connected(self):
        if self._client.status != "running":
            raise ConnectionError(
                "The connection to the scheduler at "
                f"{self._client.scheduler.address} is lost. Start it again; "
                "the same program then continues the search."
            )

    def _set_up_workers(self):
        for _ in range(_SETUP_TRIES - 1):
            # Of a worker that ended while it was set up. All are asked again,
            # since the error does not say who has answered.
            with contextlib.suppress(OSError):
                return self._client.register_plugin(_worker_plugin())
            self._check_connected()
        return self._client.register_plugin(_worker_plugin())

    def _check_threads(self):
        for worker, threads in self._client.nthreads().items():
            if threads > 1:
                raise ValueError(
                    "A worker trains one network at a time: start workers with "
                    "--nthreads 1, and as many as there are cores to share. "
                    f"Received: {worker} with {threads} threads"
                )

    def _warn_of_open_pages(self):
        pages = [self._client.run_on_scheduler(_page)]
        pages += self._client.run(_page_of_worker, on_error="ignore").values()
        for host, port in filter(None, pages):
            with contextlib.suppress(ValueError):
                if ipaddress.ip_address(host).is_loopback:
                    continue
            warnings.warn(
                f"Dask shows its pages to everybody who reaches {host}:{port}. "
                "Start scheduler and workers with --dashboard-address "
                "127.0.0.1:0, or ignore this warning where that is wanted.",
                stacklevel=4,
            )


def _worker_plugin():
    """Has a worker whose memory is full restarted, not paused for ever.

    Pickled by value, as a class of a function is, it imports nothing: a worker
    unpickles where it sends its heartbeats from, and TensorFlow on a slow disk
    takes longer than these may stay away. So it is imported in a thread.
    """

    class NeverPause(distributed.WorkerPlugin):
        name = "keras_arl-never-pause"

        async def setup(self, worker):
            import asyncio
            import importlib

            memory = worker.memory_manager
            memory.memory_target_fraction = False
            memory.memory_spill_fraction = False
            memory.memory_pause_fraction = False
            await asyncio.to_thread(
                importlib.import_module, "keras_arl.search.evaluate"
            )

    return NeverPause()


def _set_up_scheduler(worker_ttl, dask_scheduler=None):
    # A job that is lost with its worker is split and counted by the search.
    dask_scheduler.allowed_failures = 0
    # Jobs wait with the scheduler, so that only those at work are lost.
    dask_scheduler.WORKER_SATURATION = 1.0
    watch = dask_scheduler.periodic_callbacks.get("worker-ttl")
    if watch is not None and dask_scheduler.worker_ttl > worker_ttl:
        dask_scheduler.worker_ttl = worker_ttl
        watch.stop()
        watch.callback_time = 1000 * worker_ttl
        watch.start()


def _page(dask_scheduler=None):
    return _address(dask_scheduler)


def _page_of_worker(dask_worker=None):
    return _address(dask_worker)


def _address(node):
    server = getattr(node, "http_server", None)
    address = getattr(server, "address", None)
    return address and (address, server.port)

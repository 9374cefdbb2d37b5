"""Where JAX keeps what it compiled, for the next process."""

import os
import socket

import jax


def use_compilation_cache():
    """Has JAX keep its programs in the user's cache directory.

    JAX's own settings win: `JAX_COMPILATION_CACHE_DIR` names another directory,
    `JAX_ENABLE_COMPILATION_CACHE=false` leaves the cache out.
    """
    if (
        jax.config.jax_compilation_cache_dir
        or not jax.config.jax_enable_compilation_cache
    ):
        return
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    # One for each machine: a home may be shared by processors that differ, for
    # whose instructions JAX's keys do not ask.
    path = os.path.join(
        os.path.expanduser(caches), "keras_arl", "jax", socket.gethostname()
    )
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", path)

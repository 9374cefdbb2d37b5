"""Leaves out what workers of toys import and never use.

Python runs it as it starts, where this directory is in PYTHONPATH, and toys
are trained within a second: without it a worker imports for four.
"""

import importlib.machinery
import sys

# What is not installed, for all that they know.
ABSENT = ("pandas", "requests", "sklearn", "tensorflow", "torch")
# What has to be there, with all that is in it.
UNUSED = ("h5py", "jax", "keras.src.backend.jax", "matplotlib", "scipy")


class Nothing(type):
    """A class or module, each member of which is another, that do nothing."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(name, (), {})


class Finder:
    """Finds `Nothing` where an unused module is asked for."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if any(f"{name}.".startswith(f"{unused}.") for unused in UNUSED):
            return importlib.machinery.ModuleSpec(name, cls, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        return Nothing(spec.name, (), {})

    @staticmethod
    def exec_module(module):
        pass


sys.modules.update(dict.fromkeys(ABSENT))
sys.meta_path.insert(0, Finder)

"""Leaves out packages that a worker of toys imports and never uses.

Python runs this file as it starts, if the directory is in PYTHONPATH. A worker
then takes less than a second to start; with the packages it takes four.
"""

import importlib.machinery
import sys

# Packages that Keras does without.
ABSENT = ("pandas", "requests", "sklearn", "tensorflow", "torch")
# Packages that must be there to be imported from; Keras on NumPy needs JAX.
UNUSED = ("h5py", "jax", "matplotlib", "scipy")


class Nothing(type):
    """A class that does nothing; so do its members and what it returns."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(name, (), {})

    def __call__(cls, *args, **kwargs):
        return cls


class Finder:
    """Finds `Nothing` in the place of an unused package."""

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

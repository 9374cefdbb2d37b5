"""Stands in TensorFlow's place for workers of toys, which start sooner so."""

raise ImportError("left out by the tests")

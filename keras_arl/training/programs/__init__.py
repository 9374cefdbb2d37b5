"""Compiled trainings, one module for each way to compile one."""

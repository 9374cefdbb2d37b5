"""Tasks on which losses are scored: data and a recipe, sampled or one's own."""

from keras_arl.tasks.architectures import ArchitectureConfig
from keras_arl.tasks.architectures import build_model
from keras_arl.tasks.architectures import sample_architecture
from keras_arl.tasks.architectures import sample_architectures
from keras_arl.tasks.building import build_task
from keras_arl.tasks.config import TaskConfig
from keras_arl.tasks.config import TaskSpace
from keras_arl.tasks.family import TaskFamily
from keras_arl.tasks.family import sample_task
from keras_arl.tasks.spaces import broad_spaces
from keras_arl.tasks.spaces import diverse_spaces
from keras_arl.tasks.task import Task

__all__ = [
    "ArchitectureConfig",
    "Task",
    "TaskConfig",
    "TaskFamily",
    "TaskSpace",
    "broad_spaces",
    "build_model",
    "build_task",
    "diverse_spaces",
    "sample_architecture",
    "sample_architectures",
    "sample_task",
]

"""Tasks on which losses are scored: sampled, or a user's own."""

from keras_arl.tasks.architectures import ArchitectureConfig
from keras_arl.tasks.architectures import build_model
from keras_arl.tasks.architectures import sample_architecture
from keras_arl.tasks.architectures import sample_architectures
from keras_arl.tasks.building import build_task
from keras_arl.tasks.config import TaskConfig
from keras_arl.tasks.config import TaskSpace
from keras_arl.tasks.datasets import LabelledData
from keras_arl.tasks.datasets import load_dataset
from keras_arl.tasks.fitting import TrainingDivergedError
from keras_arl.tasks.sampling import SampledTasks
from keras_arl.tasks.sampling import sample_task
from keras_arl.tasks.spaces import broad_spaces
from keras_arl.tasks.task import Task

__all__ = [
    "ArchitectureConfig",
    "LabelledData",
    "SampledTasks",
    "Task",
    "TaskConfig",
    "TaskSpace",
    "TrainingDivergedError",
    "broad_spaces",
    "build_model",
    "build_task",
    "load_dataset",
    "sample_architecture",
    "sample_architectures",
    "sample_task",
]

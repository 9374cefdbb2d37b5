"""Keras Tuner's service `keras_tuner.Oracle`, as both of its ends see it.

Keras Tuner's own server takes no interceptors, answers for ever when its oracle
has failed, and its messages leave out why a trial failed. Here its messages are
used, by their public names on the wire, and gRPC's metadata for the rest.
"""

import hashlib

from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from keras_tuner.engine.hyperparameters import HyperParameters

SERVICE = "keras_tuner.Oracle"
# Metadata; gRPC sends the values of names that end with "-bin" as bytes.
TUNER = "keras-arl-tuner-bin"
# Of two processes with the same tuner's name only one can be alive.
PROCESS = "keras-arl-process"
SECRET = "keras-arl-secret-bin"
SEARCH = "keras-arl-search"
MESSAGE = "keras-arl-message-bin"
# Longer tracebacks lose their middle.
MAX_MESSAGE = 100_000
# Name of the settings among the hyperparameters that `GetSpace` returns.
SETTINGS = "settings"

CHANNEL_OPTIONS = (
    # Room for a traceback.
    ("grpc.max_metadata_size", 4 * MAX_MESSAGE),
    ("grpc.absolute_max_metadata_size", 4 * MAX_MESSAGE),
    # A worker finds a chief that was started, or started again, soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A new channel is a new connection.
    ("grpc.use_local_subchannel_pool", 1),
    # Two chiefs at one port would each get some of the calls.
    ("grpc.so_reuseport", 0),
)

# Often enough that a lost answer or two do no harm.
_RENEWALS_PER_LEASE = 4
_LONGEST_SILENCE = 10.0


def longest_silence(lease):
    """Seconds between two signs of life of a worker with so long a lease."""
    return min(lease / _RENEWALS_PER_LEASE, _LONGEST_SILENCE)


def method_types():
    """Classes of request and response of each method of the service.

    Returns:
        A dictionary from the method's name to the pair.
    """
    # Registered by Keras Tuner when it is imported.
    service = descriptor_pool.Default().FindServiceByName(SERVICE)
    return {
        method.name: (
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
        )
        for method in service.methods
    }


def space_with(settings):
    """Hyperparameters that hold the settings of a search, JSON text."""
    space = HyperParameters()
    space.Fixed(SETTINGS, value=settings)
    return space


def shorten(message):
    """A message as bytes that fit into metadata."""
    data = message.encode("utf-8", "replace")
    if len(data) > MAX_MESSAGE:
        half = MAX_MESSAGE // 2
        data = data[:half] + b"\n...\n" + data[-half:]
    return data


def fingerprint(settings):
    """What tells searches apart, of their settings as JSON text."""
    return hashlib.sha256(settings.encode()).hexdigest()[:16]

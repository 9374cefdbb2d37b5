"""The environment variables that give a process its place in a search."""

import dataclasses
import ipaddress
import os

TUNER_ID = "KERASTUNER_TUNER_ID"
HOST = "KERASTUNER_ORACLE_IP"
PORT = "KERASTUNER_ORACLE_PORT"
SECRET = "KERAS_ARL_SECRET"
# Set by `LocalWorkers` for its workers, which leave when that process ends.
PARENT = "KERAS_ARL_PARENT"


@dataclasses.dataclass(frozen=True)
class Place:
    """The place of a process in a search that many share.

    Args:
        tuner_id: Name of the process. That of the chief holds `"chief"`.
        host: Address that the chief listens at.
        port: Port that it listens at.
        secret: What the chief and its workers share, or `None`.

    Example:

    >>> place = keras_arl.distribute.Place("chief", "127.0.0.1", 8765)
    >>> place.is_chief, place.is_loopback
    (True, True)
    """

    tuner_id: str
    host: str
    port: int
    secret: str | None = dataclasses.field(default=None, repr=False)

    @property
    def is_chief(self):
        """Whether the process hands out the trials, and runs none."""
        return "chief" in self.tuner_id

    @property
    def address(self):
        """Host and port as gRPC takes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self):
        """Whether no other machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def environment(self):
        """The environment variables of this place, a dictionary."""
        variables = {
            TUNER_ID: self.tuner_id,
            HOST: self.host,
            PORT: str(self.port),
        }
        if self.secret is not None:
            variables[SECRET] = self.secret
        return variables


def place():
    """The place of this process, by Keras Tuner's environment variables.

    `KERASTUNER_TUNER_ID` is the process's name, with `"chief"` in that of the
    chief; `KERASTUNER_ORACLE_IP` and `KERASTUNER_ORACLE_PORT` are where the
    chief listens. `KERAS_ARL_SECRET`, the same for all, keeps strangers out.

    Returns:
        A `Place`; `None` if none of the first three is set: the process
        searches alone.

    Raises:
        ValueError: If only some of the three are set, or the port is none.

    Example:

    >>> keras_arl.distribute.place() is None
    True
    """
    names = (TUNER_ID, HOST, PORT)
    values = [os.environ.get(name, "") for name in names]
    if not any(name in os.environ for name in names):
        return None
    if not all(values):
        missing = [n for n, v in zip(names, values, strict=True) if not v]
        raise ValueError(
            f"A search of many processes needs all of {', '.join(names)}. "
            f"Not set: {', '.join(missing)}"
        )
    tuner_id, host, port = values
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{PORT} must be in 1..65535. Received: {port!r}")
    return Place(tuner_id, host, int(port), os.environ.get(SECRET) or None)


def is_worker():
    """Whether this process is a worker of a search.

    In a worker `LossTuner.search` runs trials until the search is finished;
    what comes after, the result, is the chief's to tell.

    Returns:
        A boolean.

    Example:

    >>> keras_arl.distribute.is_worker()
    False
    """
    here = place()
    return here is not None and not here.is_chief

"""A worker's oracle: it asks the chief."""

import math
import os
import random
import secrets
import sys
import threading
import time

import grpc
from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.distribute import environment
from keras_arl.distribute import protocol

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
# A call that took longer is made again, by another connection: this one may be
# broken without a word.
_LONGEST_CALL = 30.0
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class ChiefClient:
    """What `keras_tuner.Oracle` is to a tuner, by calls to the chief.

    While a trial runs, a thread of this object tells the chief so. It leaves
    the process where a trial does not heed its time limit, which would
    otherwise stay for ever, or where the process that started it has ended.

    Args:
        place: The `Place` of this worker.
        objective: The `keras_tuner.Objective` of the search.
        lease: Seconds after which the chief deems a silent worker lost.
        trial_timeout: Seconds that a trial may take, or `None`.
        patience: Seconds to wait for a chief that does not answer.
    """

    def __init__(self, place, objective, lease, trial_timeout, patience):
        self.objective = objective
        self._place = place
        self._lease = lease
        self._trial_timeout = trial_timeout
        self._patience = patience
        self._types = protocol.method_types()
        self._calls = self._connect()
        self._metadata = [
            (protocol.TUNER, place.tuner_id.encode()),
            (protocol.PROCESS, secrets.token_hex(8)),
        ]
        if place.secret is not None:
            self._metadata.append((protocol.SECRET, place.secret.encode()))
        # The trial that runs and when it began, a pair: two threads look.
        self._work = None
        self._over = False
        threading.Thread(target=self._stay_in_touch, daemon=True).start()

    def _connect(self):
        """Functions that call the chief by a new connection, by their name."""
        channel = grpc.insecure_channel(
            self._place.address, options=protocol.CHANNEL_OPTIONS
        )
        return {
            name: channel.unary_unary(
                f"/{protocol.SERVICE}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            for name, (request, response) in self._types.items()
        }

    def settings(self):
        """The settings of the chief's search, JSON text."""
        response = self._call("GetSpace")
        space = HyperParameters.from_proto(response.hyperparameters)
        settings = space.values.get(protocol.SETTINGS)
        if settings is None:
            raise ValueError(
                f"What listens at {self._place.address} is no chief of "
                "keras_arl: it names no settings."
            )
        return settings

    def join(self, settings):
        """Takes part in the chief's search from now on.

        Args:
            settings: What `settings()` returned.
        """
        self._metadata.append((protocol.SEARCH, protocol.fingerprint(settings)))

    def create_trial(self, tuner_id):
        """Waits for a trial.

        Args:
            tuner_id: Name of this worker.

        Returns:
            A `Trial` to run; one with status `"STOPPED"` when the search is
            over.
        """
        pause = _FIRST_PAUSE
        while not self._over:
            response = self._call("CreateTrial", tuner_id=tuner_id)
            trial = Trial.from_proto(response.trial)
            if trial.status == TrialStatus.RUNNING:
                self._work = trial, time.monotonic()
                return trial
            self._over = trial.status == TrialStatus.STOPPED
            if not self._over:
                # Not all workers at once.
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE)
        return Trial(self.get_space(), status=TrialStatus.STOPPED)

    def leave(self):
        """Tells the chief no more, so that it gives the trial to another."""
        self._work = None
        self._over = True

    def get_space(self):
        """The hyperparameters: none, since trials have values alone."""
        return HyperParameters()

    def get_trial(self, trial_id):
        """The trial that runs."""
        return self._work[0]

    def update_trial(self, trial_id, metrics, step=0):
        """Keeps the metrics, which the chief is told when the trial ends."""
        trial = self.get_trial(trial_id)
        tracker = trial.metrics
        for name, value in metrics.items():
            # Keras Tuner warns of NaN.
            if math.isnan(value):
                continue
            if not tracker.exists(name):
                tracker.register(name, direction=self.objective.direction)
            tracker.update(name, value, step=step)
        return trial

    def end_trial(self, trial):
        """Tells the chief how a trial ended.

        Args:
            trial: The `Trial`, with its status and message.
        """
        self._work = None
        if not self._over:
            self._end(trial)

    def _end(self, trial):
        metadata = []
        if trial.message is not None:
            message = protocol.shorten(trial.message)
            metadata.append((protocol.MESSAGE, message))
        # The chief made the values, and needs none of them back.
        report = Trial(self.get_space(), trial.trial_id, trial.status)
        report.metrics = trial.metrics
        self._call("EndTrial", metadata, trial=report.to_proto())

    def _call(self, name, metadata=(), **fields):
        """Calls a method of the chief, until it answers or patience ends."""
        request = self._types[name][0](**fields)
        metadata = [*self._metadata, *metadata]
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._calls[name](
                    request,
                    metadata=metadata,
                    timeout=min(
                        max(deadline - time.monotonic(), 0.1), _LONGEST_CALL
                    ),
                    wait_for_ready=True,
                )
            except grpc.RpcError as error:
                if error.code() not in _GONE:
                    raise _refusal(self._place, error) from None
                if time.monotonic() >= deadline:
                    raise ConnectionError(
                        f"The chief at {self._place.address} has not answered "
                        f"for {self._patience:g} s."
                    ) from None
                if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._calls = self._connect()
            time.sleep(_FIRST_PAUSE)

    def _stay_in_touch(self):
        interval = protocol.longest_silence(self._lease)
        parent = os.environ.get(environment.PARENT)
        last = time.monotonic()
        while not self._over:
            time.sleep(min(interval, 1.0))
            if parent is not None and not _is_alive(int(parent)):
                print("The process that began this worker has ended.")
                sys.stdout.flush()
                os._exit(1)
            work = self._work
            if work is None:
                continue
            trial, began = work
            if self._is_stuck(began):
                self._give_up(trial)
            if time.monotonic() - last >= interval:
                last = time.monotonic()
                self._renew(trial, interval)

    def _is_stuck(self, began):
        if self._trial_timeout is None:
            return False
        limit = self._trial_timeout + self._lease
        return time.monotonic() - began > limit

    def _give_up(self, trial):
        trial.status = TrialStatus.INVALID
        trial.message = (
            f"TimeoutError: the trial took longer than trial_timeout="
            f"{self._trial_timeout:g} s and could not be interrupted, so that "
            f"worker {self._place.tuner_id} was ended"
        )
        print(trial.message, flush=True)
        try:
            self._end(trial)
        finally:
            os._exit(1)

    def _renew(self, trial, timeout):
        request = self._types["GetTrial"][0](trial_id=trial.trial_id)
        try:
            response = self._calls["GetTrial"](
                request, metadata=self._metadata, timeout=timeout
            )
        except grpc.RpcError as error:
            # The call that ends the trial waits, or tells what is wrong.
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                self._calls = self._connect()
            return
        if Trial.from_proto(response.trial).status == TrialStatus.STOPPED:
            self._over = True


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _refusal(place, error):
    """The exception for what the chief, or gRPC, answered."""
    kinds = {
        grpc.StatusCode.UNAUTHENTICATED: PermissionError,
        grpc.StatusCode.ALREADY_EXISTS: ValueError,
        grpc.StatusCode.FAILED_PRECONDITION: ValueError,
    }
    kind = kinds.get(error.code(), RuntimeError)
    return kind(
        f"The chief at {place.address} refused this worker: {error.details()}"
    )

"""The chief: the process that hands out the trials of a search."""

import concurrent.futures
import hmac
import threading
import time

import grpc
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.distribute import protocol

_NUM_THREADS = 8
# A worker that has no trial asks for one more often than that, and heartbeats
# may be late by so much.
_PATIENCE = 2.0


class Chief:
    """Serves an oracle to workers by Keras Tuner's protocol.

    Unlike Keras Tuner's own chief it turns away who does not know the secret or
    runs another search, hears from workers while they train, and ends with the
    error that ended the search.

    Args:
        oracle: A `keras_arl.search.CMAESOracle`.
        place: The `Place` of the chief.
        settings: What all processes of the search share, JSON text.
        on_progress: Function that is called when trials may have ended, by
            one thread at a time.

    Raises:
        ValueError: If other machines could connect and there is no secret.
        OSError: If it cannot listen at its place.
    """

    def __init__(self, oracle, place, settings, on_progress):
        if not place.is_loopback and place.secret is None:
            raise ValueError(
                f"The chief would listen at {place.address}, where other "
                "machines can connect, and whoever connects can end trials. "
                "Set KERAS_ARL_SECRET to the same long random text for the "
                "chief and its workers, or listen at 127.0.0.1."
            )
        self._oracle = oracle
        self._settings = settings
        self._search = protocol.fingerprint(settings)
        self._on_progress = on_progress
        # Trials end, and are shown, one after another.
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._error = None
        # When the workers that do not know of the end were last heard of.
        self._heard = {}
        # The process that a tuner's name stands for, and those before it.
        self._processes = {}
        self._replaced = set()
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(_NUM_THREADS),
            handlers=[self._handlers()],
            interceptors=[_SecretCheck(place.secret)],
            options=protocol.CHANNEL_OPTIONS,
        )
        try:
            self._server.add_insecure_port(place.address)
        except RuntimeError as error:
            raise OSError(
                f"The chief cannot listen at {place.address}: is another one "
                "running there, or is the address not of this machine?"
            ) from error

    def serve(self, keep_alive=lambda num_ended: None):
        """Hands out trials until the search is finished.

        Args:
            keep_alive: Function of the number of trials that have ended; it
                is called a few times a second, and ends the search by raising
                an exception.

        Raises:
            Exception: What the oracle raised when a trial ended.
        """
        if self._oracle.finished:
            self._over.set()
            # Workers may wait that heard nothing since the last chief.
            self._heard[""] = time.monotonic()
        self._server.start()
        try:
            while not self._over.wait(0.2):
                keep_alive(len(self._oracle.end_order))
            self._say_farewell()
        finally:
            self._server.stop(grace=1).wait()
        if self._error is not None:
            raise self._error

    def _say_farewell(self):
        """Waits until the workers that live have heard of the end."""
        silence = protocol.longest_silence(self._oracle.lease) + _PATIENCE
        while any(
            heard + silence > time.monotonic()
            for heard in list(self._heard.values())
        ):
            time.sleep(0.02)

    def _handlers(self):
        answers = {
            "GetSpace": self._get_space,
            "UpdateSpace": self._update_space,
            "CreateTrial": self._create_trial,
            "UpdateTrial": self._update_trial,
            "EndTrial": self._end_trial,
            "GetTrial": self._get_trial,
            "GetBestTrials": self._get_best_trials,
        }
        types = protocol.method_types()
        return grpc.method_handlers_generic_handler(
            protocol.SERVICE,
            {
                name: self._handler(answer, *types[name])
                for name, answer in answers.items()
            },
        )

    def _handler(self, answer, request_type, response_type):
        def handle(request, context):
            fields = answer(request, context)
            return response_type(**fields)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=response_type.SerializeToString,
        )

    def _get_space(self, request, context):
        # Of any search: a worker sees here which one this is.
        self._metadata(context)
        space = protocol.space_with(self._settings)
        return {"hyperparameters": space.to_proto()}

    def _update_space(self, request, context):
        return {}

    def _create_trial(self, request, context):
        metadata = self._check_search(context)
        process = metadata.get(protocol.PROCESS)

        def create_trial():
            before = self._processes.setdefault(request.tuner_id, process)
            if before != process:
                self._replaced.add(before)
                self._processes[request.tuner_id] = process
                self._oracle.lose(request.tuner_id)
            return self._oracle.create_trial(request.tuner_id)

        trial = self._ask_oracle(create_trial)
        if self._over.is_set():
            self._heard.pop(request.tuner_id, None)
            space = self._oracle.get_space()
            trial = Trial(space, status=TrialStatus.STOPPED)
        return {"trial": trial.to_proto()}

    def _end_trial(self, request, context):
        metadata = self._check_search(context)
        trial = Trial.from_proto(request.trial)
        message = metadata.get(protocol.MESSAGE)
        if message is not None:
            trial.message = message.decode("utf-8", "replace")
        tuner_id = _tuner_id(metadata)
        self._ask_oracle(lambda: self._oracle.end_trial(trial, tuner_id))
        return {}

    def _ask_oracle(self, call):
        """Calls the oracle, whose error ends the search."""
        with self._lock:
            if self._over.is_set():
                return None
            try:
                result = call()
                self._on_progress()
            except Exception as error:
                self._error = error
                self._over.set()
                return None
            if self._oracle.finished:
                self._over.set()
            return result

    def _update_trial(self, request, context):
        self._check_search(context)
        try:
            trial = self._oracle.update_trial(
                request.trial_id, dict(request.metrics), request.step
            )
        except (KeyError, ValueError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return {"trial": trial.to_proto()}

    def _get_trial(self, request, context):
        metadata = self._check_search(context)
        tuner_id = _tuner_id(metadata)
        if self._over.is_set():
            self._heard.pop(tuner_id, None)
            space = self._oracle.get_space()
            trial = Trial(space, request.trial_id, TrialStatus.STOPPED)
            return {"trial": trial.to_proto()}
        if tuner_id:
            self._oracle.renew(tuner_id, request.trial_id)
        try:
            trial = self._oracle.get_trial(request.trial_id)
        except KeyError:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"There is no trial {request.trial_id!r}.",
            )
        return {"trial": trial.to_proto()}

    def _get_best_trials(self, request, context):
        self._check_search(context)
        trials = self._oracle.get_best_trials(request.num_trials)
        return {"trials": [trial.to_proto() for trial in trials]}

    def _check_search(self, context):
        """The metadata of a call by a worker of this search."""
        metadata = self._metadata(context)
        if metadata.get(protocol.SEARCH) != self._search:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "This chief runs a search with other settings.",
            )
        if metadata.get(protocol.PROCESS) in self._replaced:
            context.abort(
                grpc.StatusCode.ALREADY_EXISTS,
                f"Another worker is named {_tuner_id(metadata)!r}, too. Give "
                "each a KERASTUNER_TUNER_ID of its own.",
            )
        return metadata

    def _metadata(self, context):
        """The metadata of a call, which is a sign of life."""
        metadata = dict(context.invocation_metadata())
        self._heard[_tuner_id(metadata)] = time.monotonic()
        return metadata


def _tuner_id(metadata):
    return metadata.get(protocol.TUNER, b"").decode("utf-8", "replace")


class _SecretCheck(grpc.ServerInterceptor):
    """Turns away every call without the secret."""

    def __init__(self, secret):
        self._secret = secret and secret.encode()
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    def intercept_service(self, continuation, handler_call_details):
        if self._secret is not None:
            metadata = dict(handler_call_details.invocation_metadata)
            secret = metadata.get(protocol.SECRET, b"")
            if not hmac.compare_digest(secret, self._secret):
                return self._refusal
        return continuation(handler_call_details)


def _refuse(request, context):
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "The chief has another KERAS_ARL_SECRET, or a worker has none.",
    )

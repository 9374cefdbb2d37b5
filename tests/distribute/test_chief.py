"""A chief in this process, and calls to it on 127.0.0.1."""

import contextlib
import json
import socket
import threading
import time

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from keras_tuner.engine.trial import TrialStatus

from keras_arl import distribute
from keras_arl.distribute import Place
from keras_arl.distribute.chief import Chief
from keras_arl.distribute.client import ChiefClient
from keras_arl.distribute.local_workers import _free_port
from keras_arl.search import CMAESOracle

SETTINGS = json.dumps({"which": "this one"})


class Serving:
    """A chief that serves in a thread."""

    def __init__(self, directory, secret=None, **settings):
        settings = {"generations": 2, "popsize": 4, "final_tasks": 1} | settings
        self.oracle = CMAESOracle(seed=0, **settings)
        self.oracle._set_project_dir(directory, "served")
        self.place = Place("chief", "127.0.0.1", _free_port(), secret)
        # Numbers of trials that had ended when they could be shown.
        self.shown = []
        self.error = None
        self.enough = False
        self._chief = Chief(self.oracle, self.place, SETTINGS, self._show)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _show(self):
        self.shown.append(len(self.oracle.end_order))

    def _serve(self):
        try:
            self._chief.serve(self._keep_alive)
        except Exception as error:
            self.error = error

    def _keep_alive(self, num_ended):
        if self.enough:
            raise RuntimeError("the test is over")

    def client(self, tuner_id="worker", secret=None, join=SETTINGS, **kwargs):
        place = Place(tuner_id, "127.0.0.1", self.place.port, secret)
        arguments = {"lease": 5.0, "trial_timeout": None, "patience": 10.0}
        client = ChiefClient(
            place, self.oracle.objective, **(arguments | kwargs)
        )
        if join:
            client.join(join)
        return client


@contextlib.contextmanager
def serving(directory, **settings):
    chief = Serving(directory, **settings)
    try:
        yield chief
    finally:
        chief.enough = True
        chief.thread.join()


def complete(client, trial, score=0.5, message=None):
    client.update_trial(trial.trial_id, {"val_accuracy": score})
    trial.status = TrialStatus.COMPLETED
    trial.message = message
    client.end_trial(trial)


def test_a_worker_runs_a_whole_search(tmp_path):
    with serving(tmp_path) as chief:
        client = chief.client()
        assert client.settings() == SETTINGS
        count = 0
        while True:
            trial = client.create_trial("worker")
            if trial.status == TrialStatus.STOPPED:
                break
            complete(client, trial, 0.1 * count, message=f"trial {count} ✓")
            count += 1
        chief.thread.join(10)
        assert count == chief.oracle.max_trials
        assert sorted(set(chief.shown)) == list(range(count + 1))
        assert chief.error is None
        assert chief.oracle.finished
        trials = [chief.oracle.trials[k] for k in chief.oracle.end_order]
        assert [t.message for t in trials] == [
            f"trial {k} ✓" for k in range(count)
        ]
        assert trials[3].score == pytest.approx(0.3)


def test_values_survive_the_messages(tmp_path):
    with serving(tmp_path) as chief:
        trial = chief.client().create_trial("worker")
        mine = chief.oracle.trials[trial.trial_id]
        assert trial.hyperparameters.values == mine.hyperparameters.values
        assert isinstance(trial.hyperparameters.values["task_seed"], int)


def test_tracebacks_reach_the_chief(tmp_path):
    with serving(tmp_path) as chief:
        client = chief.client()
        for message in ("Traceback: boom\n  ü", "long " * 100_000):
            trial = client.create_trial("worker")
            trial.status = TrialStatus.INVALID
            trial.message = message
            client.end_trial(trial)
            kept = chief.oracle.trials[trial.trial_id]
            assert kept.status == "FAILED"
            assert kept.message[:15] == message[:15]
            assert kept.message[-5:] == message[-5:]
            assert len(kept.message) <= 100_100


@pytest.mark.parametrize("secret", [None, "wrong", "right ", "réel"])
def test_strangers_are_turned_away(tmp_path, secret):
    with serving(tmp_path, secret="right") as chief:
        stranger = chief.client(secret=secret)
        for call in (
            stranger.settings,
            lambda: stranger.create_trial("worker"),
        ):
            with pytest.raises(PermissionError, match="KERAS_ARL_SECRET"):
                call()
        assert chief.oracle.tuner_ids == set()
        friend = chief.client(secret="right")
        assert friend.create_trial("worker").status == TrialStatus.RUNNING


def test_workers_of_another_search_are_turned_away(tmp_path):
    with serving(tmp_path) as chief:
        for join in ("", '{"which": "another"}'):
            other = chief.client(join=join)
            with pytest.raises(ValueError, match=r"refused.*other settings"):
                other.create_trial("worker")
            assert other.settings() == SETTINGS


def test_other_machines_need_a_secret():
    for host in ("0.0.0.0", "10.1.2.3", "chief.example.org"):
        with pytest.raises(ValueError, match=f"{host}.*KERAS_ARL_SECRET"):
            Chief(CMAESOracle(), Place("chief", host, 8000), SETTINGS, print)


def test_a_port_in_use_is_told(tmp_path):
    with (
        serving(tmp_path) as chief,
        pytest.raises(OSError, match=r"cannot listen at.*another one"),
    ):
        Chief(CMAESOracle(), chief.place, SETTINGS, print)


def test_a_worker_that_waits_does_not_spin(tmp_path):
    with serving(tmp_path) as chief:
        others = [chief.client(f"other {k}") for k in range(4)]
        trials = [c.create_trial(f"other {k}") for k, c in enumerate(others)]
        asked = []
        create_trial = chief.oracle.create_trial

        def counted(tuner_id):
            asked.append(time.monotonic())
            return create_trial(tuner_id)

        chief.oracle.create_trial = counted
        waiting = chief.client("waiting")
        given = []
        thread = threading.Thread(
            target=lambda: given.append(waiting.create_trial("waiting"))
        )
        thread.start()
        time.sleep(3.0)
        assert given == []
        # Pauses that double up to a second, not one after another.
        assert 5 <= len(asked) <= 20
        assert asked[-1] - asked[-2] > 0.25
        for client, trial in zip(others, trials, strict=True):
            complete(client, trial)
        thread.join(5)
        assert given[0].hyperparameters.values["generation"] == 1


def test_a_chief_that_is_not_there(tmp_path):
    place = Place("worker", "127.0.0.1", _free_port())
    client = ChiefClient(place, None, 1.0, None, patience=0.5)
    before = time.monotonic()
    with pytest.raises(ConnectionError, match=r"not answered for 0\.5 s"):
        client.settings()
    assert 0.4 < time.monotonic() - before < 5


def test_the_error_of_the_search_ends_the_chief_and_its_workers(tmp_path):
    with serving(tmp_path) as chief:
        client = chief.client()
        for k in range(4):
            trial = client.create_trial("worker")
            trial.status = TrialStatus.INVALID
            trial.message = f"Traceback {k}"
            client.end_trial(trial)
        assert client.create_trial("worker").status == TrialStatus.STOPPED
        chief.thread.join(5)
        assert isinstance(chief.error, RuntimeError)
        assert "Every candidate of generation 0 failed" in str(chief.error)
        assert "Traceback 0" in str(chief.error)


def test_a_full_disk_ends_the_chief(tmp_path, monkeypatch):
    with serving(tmp_path) as chief:
        client = chief.client()
        trial = client.create_trial("worker")
        monkeypatch.setattr("keras_arl.search.files.os.fsync", _raise_no_space)
        complete(client, trial)
        monkeypatch.undo()
        assert client.create_trial("worker").status == TrialStatus.STOPPED
        chief.thread.join(5)
        assert isinstance(chief.error, OSError)
        assert "All that was written before is safe" in str(chief.error)


def _raise_no_space(descriptor):
    raise OSError(28, "No space left on device")


def call(chief, method, metadata=(), **fields):
    """A call as any program on the machine can make it."""
    pool = descriptor_pool.Default()
    (found,) = [
        m
        for m in pool.FindServiceByName("keras_tuner.Oracle").methods
        if m.name == method
    ]
    request = message_factory.GetMessageClass(found.input_type)(**fields)
    response = message_factory.GetMessageClass(found.output_type)
    with grpc.insecure_channel(chief.place.address) as channel:
        return channel.unary_unary(
            f"/keras_tuner.Oracle/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )(request, metadata=metadata, timeout=10)


def test_nonsense_does_no_harm(tmp_path):
    with serving(tmp_path) as chief:
        client = chief.client()
        trial = client.create_trial("worker")
        metadata = [client._metadata[-1]]
        for trial_id in ("", "99", "-1", "1e3", "٣", "9" * 5_000, "../../x"):
            with pytest.raises(grpc.RpcError) as error:
                call(chief, "GetTrial", metadata, trial_id=trial_id)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.RpcError) as error:
                call(chief, "UpdateTrial", metadata, trial_id=trial_id)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            call(
                chief,
                "EndTrial",
                metadata,
                trial={"trial_id": trial_id, "status": "COMPLETED"},
            )
        with pytest.raises(grpc.RpcError) as error:
            call(
                chief,
                "UpdateTrial",
                metadata,
                trial_id=trial.trial_id,
                metrics={"speed": 1.0},
            )
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert chief.oracle.end_order == []
        call(chief, "UpdateSpace", metadata)
        assert len(call(chief, "GetBestTrials", metadata, num_trials=5).trials)
        complete(client, trial)
        assert chief.oracle.end_order == [trial.trial_id]


def test_a_result_is_counted_once(tmp_path):
    with serving(tmp_path, lease=0.3) as chief:
        slow = chief.client("slow", lease=1000.0)
        late = slow.create_trial("slow")
        time.sleep(0.5)
        quick = chief.client("quick")
        trial = quick.create_trial("quick")
        assert trial.trial_id == late.trial_id
        complete(quick, trial, 0.75)
        complete(slow, late, 0.25)
        assert chief.oracle.end_order == [trial.trial_id]
        assert chief.oracle.trials[trial.trial_id].score == 0.75
        assert slow.create_trial("slow").trial_id != trial.trial_id


def test_a_late_result_is_taken_if_there_is_no_other(tmp_path):
    with serving(tmp_path, lease=0.3) as chief:
        slow = chief.client("slow", lease=1000.0)
        late = slow.create_trial("slow")
        time.sleep(0.5)
        quick = chief.client("quick")
        trial = quick.create_trial("quick")
        complete(slow, late, 0.25)
        complete(quick, trial, 0.75)
        assert chief.oracle.end_order == [trial.trial_id]
        assert chief.oracle.trials[trial.trial_id].score == 0.25


def test_a_lease_is_prolonged_while_a_trial_runs(tmp_path):
    with serving(tmp_path, lease=0.8) as chief:
        slow = chief.client("slow", lease=0.8)
        mine = slow.create_trial("slow")
        other = chief.client("other")
        seen = set()
        for _ in range(3):
            time.sleep(0.8)
            trial = other.create_trial("other")
            seen.add(trial.trial_id)
            complete(other, trial)
        assert mine.trial_id not in seen
        complete(slow, mine, 0.25)
        assert chief.oracle.generation == 1
        assert chief.oracle.history()[0]["fitness"].count(0.25) == 1


def test_a_trial_that_nobody_survives_fails(tmp_path):
    with serving(tmp_path) as chief:
        # The same worker, started again each time; it may ask twice.
        for _ in range(5):
            client = chief.client("worker")
            for _ in range(2):
                assert client.create_trial("worker").trial_id == "00"
        assert chief.client("worker").create_trial("worker").trial_id == "01"
        lost = chief.oracle.trials["00"]
        assert lost.status == "FAILED"
        assert lost.message.startswith("lost 5 times: ")


def test_two_workers_of_one_name_are_told(tmp_path):
    with serving(tmp_path) as chief:
        first, second = chief.client("worker"), chief.client("worker")
        trial = first.create_trial("worker")
        assert second.create_trial("worker").trial_id == trial.trial_id
        with pytest.raises(
            ValueError, match="Another worker is named 'worker'"
        ):
            complete(first, trial)
        assert chief.oracle.end_order == []


def test_a_report_that_comes_twice_is_counted_once(tmp_path):
    with serving(tmp_path, max_retries_per_trial=1) as chief:
        first, second = chief.client("first"), chief.client("second")
        trial = first.create_trial("first")
        trial.status = TrialStatus.INVALID
        trial.message = "Traceback"
        first._end(trial)
        again = second.create_trial("second")
        assert again.trial_id == trial.trial_id
        # As if the answer to the first had been lost.
        first._end(trial)
        assert chief.oracle.end_order == []
        complete(second, again, 0.5)
        assert chief.oracle.trials[trial.trial_id].score == 0.5


def test_bad_updates_from_many_sides_do_not_stop_the_chief(tmp_path):
    with serving(tmp_path) as chief:
        client = chief.client()
        trial = client.create_trial("worker")
        codes = []

        def update():
            with pytest.raises(grpc.RpcError) as error:
                call(
                    chief,
                    "UpdateTrial",
                    [client._metadata[-1]],
                    trial_id=trial.trial_id,
                    metrics={"speed": 1.0},
                )
            codes.append(error.value.code())

        threads = [threading.Thread(target=update) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * 12
        complete(client, trial)
        assert chief.oracle.end_order == [trial.trial_id]


def test_a_worker_that_leaves_is_not_waited_for(tmp_path):
    with serving(tmp_path, lease=0.4) as chief:
        leaving, staying = chief.client("leaving", lease=0.4), chief.client("b")
        trial = leaving.create_trial("leaving")
        leaving.leave()
        time.sleep(0.8)
        assert staying.create_trial("b").trial_id == trial.trial_id


def test_a_connection_that_breaks_without_a_word_is_made_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("keras_arl.distribute.client._LONGEST_CALL", 0.5)
    with serving(tmp_path) as chief, proxy(chief.place.port) as (port, hush):
        place = Place("worker", "127.0.0.1", port)
        client = ChiefClient(
            place, chief.oracle.objective, 5.0, None, patience=30.0
        )
        client.join(SETTINGS)
        trial = client.create_trial("worker")
        hush.set()
        complete(client, trial)
        assert chief.oracle.end_order == [trial.trial_id]


@contextlib.contextmanager
def proxy(port):
    """A port that leads to another, and an event that hushes the first one."""
    hush = threading.Event()
    sockets = []

    def pump(source, sink, is_first):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (is_first and hush.is_set()):
                    sink.sendall(data)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                is_first = not sockets
                sockets.extend([near, far])
                for pair in ((near, far), (far, near)):
                    threading.Thread(
                        target=pump, args=(*pair, is_first), daemon=True
                    ).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], hush
        for each in sockets:
            each.close()


def test_workers_are_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker-1")
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_IP"):
        distribute.is_worker()

"""Searches on a cluster of Dask: a scheduler and workers as real processes."""

import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from keras_arl.search import dispatch
from tests import processes
from tests.search.hostile import HostileTrainer
from tests.search.toy import QUICK_WORKERS
from tests.search.toy import outcome
from tests.search.toy import toy

distributed = pytest.importorskip("distributed")
dask_cluster = pytest.importorskip("keras_arl.search.dask_cluster")

pytestmark = pytest.mark.slow

SETTINGS = {
    "generations": 2, "popsize": 6, "tasks_per_generation": 2,
    "selection_tasks": 2,
}  # fmt: skip
# A worker has no second process that would start it again.
NO_NANNY = "--no-nanny"
LOOPBACK = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("alone"), noise=0.3, **SETTINGS)
    tuner.search(verbose=0)
    return tuner


@pytest.fixture(scope="module")
def poison(alone):
    return alone.trainer.ran[3]


class Cluster:
    """A scheduler and workers, started as people start them."""

    def __init__(self, directory, stack, security=(), environment=None):
        self.directory = directory
        self._stack = stack
        self._security = list(security)
        self._environment = os.environ | QUICK_WORKERS | (environment or {})
        self.file = directory / "scheduler.json"
        self.scheduler = None
        self.workers = []

    def _start(self, *command, prefix=()):
        name = command[1]
        log = (self.directory / f"{name}.log").open("a")
        self._stack.callback(log.close)
        return self._stack.enter_context(
            processes.program(
                [*prefix, sys.executable, "-m", "distributed.cli.dask_" + name,
                 *command[2:], *self._security],
                cwd=self.directory, stdout=log, stderr=log,
                env=self._environment,
            )
        )  # fmt: skip

    def start(self, num_workers=2, *options):
        self.scheduler = self._start(
            "dask", "scheduler", *LOOPBACK, "--port", "0",
            "--scheduler-file", str(self.file),
        )  # fmt: skip
        processes.wait_for(self.file.exists, 60)
        for _ in range(num_workers):
            self.add_worker(*options)
        return self

    def add_worker(self, *options):
        self.workers.append(
            self._start(
                "dask", "worker", "--scheduler-file", str(self.file),
                *LOOPBACK, "--nthreads", "1", "--nworkers", "1",
                "--death-timeout", "30", *options,
            )
        )  # fmt: skip

    def client(self, **kwargs):
        return distributed.Client(scheduler_file=str(self.file), **kwargs)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack).start()


@pytest.fixture
def client(cluster):
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def test_two_workers_find_what_one_process_finds(tmp_path, client, alone):
    tuner = toy(tmp_path, noise=0.3, **SETTINGS)
    tuner.search(verbose=0, executor=client)
    assert outcome(tuner) == outcome(alone)
    assert tuner.results() == alone.results()


def test_the_settings_that_dask_needs_are_set(tmp_path, client):
    toy(tmp_path, **SETTINGS).search(verbose=0, executor=client)

    def of_worker(dask_worker):
        memory = dask_worker.memory_manager
        return (
            memory.memory_pause_fraction,
            memory.memory_spill_fraction,
            memory.memory_target_fraction,
        )

    assert set(client.run(of_worker).values()) == {(False, False, False)}
    ttl = client.run_on_scheduler(lambda dask_scheduler: (
        dask_scheduler.worker_ttl,
        dask_scheduler.periodic_callbacks["worker-ttl"].callback_time,
    ))  # fmt: skip
    assert ttl == (60.0, 60_000.0)


def test_a_worker_unpickles_the_settings_without_an_import():
    # It would send no heartbeat meanwhile, and be taken for dead.
    code = (
        "import pickle, sys\n"
        "pickle.load(sys.stdin.buffer)\n"
        "assert 'keras_arl' not in sys.modules"
    )
    plugin = dask_cluster._worker_plugin()
    subprocess.run(
        [sys.executable, "-c", code],
        input=distributed.protocol.pickle.dumps(plugin),
        check=True,
        env=os.environ | QUICK_WORKERS,
    )


@pytest.mark.parametrize("deed", ["kill", "hang in C"])
def test_a_trial_that_ends_its_worker_once_costs_nothing(
    tmp_path, monkeypatch, client, alone, poison, deed
):
    # So that it is the trial's own limit that ends it.
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 1000.0)
    once = tmp_path / "once"
    trainer = HostileTrainer(poison, deed, str(once), noise=0.3)
    limit = None if deed == "kill" else 1.0
    tuner = toy(tmp_path, trainer, trial_timeout=limit, **SETTINGS)
    tuner.search(verbose=0, executor=client)
    assert once.exists()
    assert outcome(tuner) == outcome(alone)


@pytest.mark.parametrize("deed", ["kill", "hang"])
def test_a_trial_that_kills_or_hangs_again_and_again_fails_alone(
    tmp_path, client, poison, deed
):
    limit = None if deed == "kill" else 1.0
    trainer = HostileTrainer(poison, deed, noise=0.3)
    tuner = toy(tmp_path, trainer, trial_timeout=limit, **SETTINGS)
    tuner.search(verbose=0, executor=client)
    failed = [row for row in tuner.results() if row["status"] == "FAILED"]
    reason = "trial_timeout=1 s" if deed == "hang" else "lost 3 times"
    assert [reason in row["message"] for row in failed] == [True]


def test_a_worker_that_is_killed_while_it_is_set_up_costs_nothing(
    tmp_path, client, alone
):
    pid = client.submit(os.getpid, pure=False).result()
    tuner = toy(tmp_path, noise=0.3, **SETTINGS)
    # It does not answer, until it is dead.
    os.kill(pid, signal.SIGSTOP)
    killer = threading.Timer(5.0, os.kill, (pid, signal.SIGKILL))
    killer.start()
    tuner.search(verbose=0, executor=client)
    killer.join()
    assert outcome(tuner) == outcome(alone)


def test_without_workers_a_search_ends_or_goes_on_with_those_that_come(
    tmp_path, monkeypatch, capsys, alone
):
    with contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path, stack).start(num_workers=0)
        client = stack.enter_context(cluster.client())
        tuner = toy(tmp_path / "search", noise=0.3, **SETTINGS)
        with monkeypatch.context() as patch:
            patch.setattr(dispatch, "_LONGEST_WITHOUT_WORKERS", 1.0)
            with pytest.raises(RuntimeError, match="No worker came for"):
                tuner.search(verbose=0, executor=client)
        monkeypatch.setattr(dispatch, "_TELL_SECONDS", 0.5)
        late = threading.Timer(3.0, cluster.add_worker, [NO_NANNY])
        late.start()
        tuner.search(executor=client)
        late.join()
    assert outcome(tuner) == outcome(alone)
    assert "There has been no worker for" in capsys.readouterr().out


def test_a_scheduler_that_is_killed_and_the_search_started_again(
    tmp_path, client, alone
):
    slow = {**SETTINGS, "duration": 0.1}
    errors = []
    with contextlib.ExitStack() as stack:
        doomed = Cluster(tmp_path, stack).start(1, NO_NANNY)
        doomed_client = doomed.client()
        doomed_client.wait_for_workers(1, timeout=60)

        def run():
            tuner = toy(tmp_path / "search", noise=0.3, **slow)
            try:
                tuner.search(verbose=0, executor=doomed_client)
            except ConnectionError as error:
                errors.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        results = tmp_path / "search" / "loss_search" / "results.jsonl"
        processes.wait_for(results.exists, 60)
        processes.wait_for_lines(results, 4, 60)
        doomed.scheduler.send_signal(signal.SIGKILL)
        thread.join(90)
        assert not thread.is_alive()
        doomed_client.close(timeout=1)
    assert ["is lost. Start it again" in error for error in errors] == [True]
    tuner = toy(tmp_path / "search", noise=0.3, **SETTINGS)
    assert tuner.results()
    tuner.search(verbose=0, executor=client)
    assert outcome(tuner) == outcome(alone)


def test_workers_with_threads_are_refused(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as local,
        distributed.Client(local) as client,
        pytest.raises(ValueError, match=r"--nthreads 1.*with 2 threads"),
    ):  # fmt: skip
        toy(tmp_path, **SETTINGS).search(verbose=0, executor=client)


def test_pages_for_everybody_are_warned_of(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False,
            dashboard_address="0.0.0.0:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as local,
        distributed.Client(local) as client,
        pytest.warns(UserWarning, match=r"pages to everybody.*0\.0\.0\.0"),
    ):  # fmt: skip
        toy(tmp_path, **SETTINGS).search(verbose=0, executor=client)


def certificate(directory):
    """A certificate of its own for this machine, as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "search")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "cert.pem").write_bytes(signed.public_bytes(pem))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(directory / "cert.pem"), str(directory / "key.pem")


def test_a_search_over_tls(tmp_path, alone):
    cert, key = certificate(tmp_path)
    files = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    security = distributed.Security(
        tls_ca_file=cert,
        tls_client_cert=cert,
        tls_client_key=key,
        require_encryption=True,
    )
    with contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path, stack, ["--protocol", "tls", *files])
        cluster.start(1, NO_NANNY)
        client = stack.enter_context(cluster.client(security=security))
        assert client.scheduler.address.startswith("tls://")
        client.wait_for_workers(1, timeout=60)
        tuner = toy(tmp_path / "search", noise=0.3, **SETTINGS)
        tuner.search(verbose=0, executor=client)
        # Who has no certificate is not let in.
        with pytest.raises((OSError, TypeError)):
            distributed.Client(client.scheduler.address, timeout=5)
    assert outcome(tuner) == outcome(alone)


def ip(*arguments, check=True):
    command = ["ip", *arguments]
    return subprocess.run(command, check=check, capture_output=True).returncode


def has_namespaces():
    if shutil.which("ip") is None or os.name != "posix":
        return False
    if ip("netns", "add", "keras-arl-probe", check=False) != 0:
        return False
    return ip("netns", "del", "keras-arl-probe", check=False) == 0


@contextlib.contextmanager
def hosts(*names):
    """Network namespaces on one bridge: addresses 10.83.0.1 and so on."""
    bridge = "arl-bridge"
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", "10.83.0.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, start=2):
            ip("netns", "add", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0",
               "netns", name)  # fmt: skip
            ip("link", "set", name, "master", bridge, "up")
            inside = ("-n", name)
            address = f"10.83.0.{number}/24"
            ip(*inside, "addr", "add", address, "dev", "eth0")
            ip(*inside, "link", "set", "eth0", "up")
            ip(*inside, "link", "set", "lo", "up")
        yield
    finally:
        for name in names:
            ip("netns", "del", name, check=False)
        ip("link", "del", bridge, check=False)


@pytest.mark.skipif(
    not has_namespaces(), reason="the machine allows no network namespaces"
)
def test_machines_of_different_addresses(tmp_path, alone):
    names = ["arl-scheduler", "arl-worker-1", "arl-worker-2"]
    with hosts(*names), contextlib.ExitStack() as stack:
        cluster = Cluster(tmp_path, stack)
        cluster.scheduler = cluster._start(
            "dask", "scheduler", "--host", "10.83.0.2", "--port", "8786",
            "--dashboard-address", "127.0.0.1:0",
            prefix=["ip", "netns", "exec", names[0]],
        )  # fmt: skip
        for number, name in enumerate(names[1:], start=3):
            cluster._start(
                "dask", "worker", "tcp://10.83.0.2:8786",
                "--host", f"10.83.0.{number}", "--nthreads", "1", NO_NANNY,
                "--dashboard-address", "127.0.0.1:0",
                prefix=["ip", "netns", "exec", name],
            )  # fmt: skip
        client = stack.enter_context(
            distributed.Client("tcp://10.83.0.2:8786", timeout=60)
        )
        client.wait_for_workers(2, timeout=60)
        tuner = toy(tmp_path / "search", noise=0.3, **SETTINGS)
        tuner.search(verbose=0, executor=client)
        workers = list(client.nthreads())
    assert outcome(tuner) == outcome(alone)
    assert {address.split(":")[1] for address in workers} == {
        "//10.83.0.3", "//10.83.0.4",
    }  # fmt: skip

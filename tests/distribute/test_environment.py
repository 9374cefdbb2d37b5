import pytest

from keras_arl import distribute
from keras_arl.distribute import Place

NAMES = (
    "KERASTUNER_TUNER_ID",
    "KERASTUNER_ORACLE_IP",
    "KERASTUNER_ORACLE_PORT",
)


def set_environment(monkeypatch, *values):
    for name, value in zip(NAMES, values, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)


def test_alone():
    assert distribute.place() is None
    assert not distribute.is_worker()


@pytest.mark.parametrize(
    ("tuner_id", "is_chief"), [("chief", True), ("worker-3", False)]
)
def test_chief_and_workers(monkeypatch, tuner_id, is_chief):
    set_environment(monkeypatch, tuner_id, "10.0.0.7", "8000")
    monkeypatch.setenv("KERAS_ARL_SECRET", "s3cret")
    place = distribute.place()
    assert place == Place(tuner_id, "10.0.0.7", 8000, "s3cret")
    assert place.is_chief == is_chief
    assert distribute.is_worker() != is_chief
    assert place.address == "10.0.0.7:8000"
    assert "s3cret" not in repr(place)
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    assert distribute.place() == place


@pytest.mark.parametrize("missing", range(3))
def test_what_is_missing_is_named(monkeypatch, missing):
    values = ["worker", "127.0.0.1", "8000"]
    values[missing] = None
    set_environment(monkeypatch, *values)
    with pytest.raises(ValueError, match=f"Not set: {NAMES[missing]}$"):
        distribute.place()


def test_empty_variables_are_told(monkeypatch):
    set_environment(monkeypatch, "", "", "")
    with pytest.raises(ValueError, match=f"Not set: {', '.join(NAMES)}"):
        distribute.place()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "٣", "80 "])
def test_invalid_ports(monkeypatch, port):
    set_environment(monkeypatch, "chief", "127.0.0.1", port)
    with pytest.raises(ValueError, match=r"must be in 1\.\.65535.*Received"):
        distribute.place()


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False),
        ("10.0.0.1", False), ("search-chief", False),
        ("localhost.example.org", False),
    ],
)  # fmt: skip
def test_loopback(host, is_loopback):
    assert Place("chief", host, 1).is_loopback == is_loopback


def test_addresses_of_the_sixth_version():
    assert Place("chief", "::1", 80).address == "[::1]:80"

"""State files that are damaged, foreign, in use, or do not fit on the disk."""

import json
import os
import pathlib
import resource
import shutil

import numpy as np
import pytest

from keras_arl.search import files
from tests import processes
from tests.search.toy import outcome
from tests.search.toy import search
from tests.search.toy import toy

SETTINGS = {
    "generations": 3, "popsize": 4, "final_tasks": 1, "finalists": 1,
    "noise": 0.3,
}  # fmt: skip


def state(directory):
    return directory / "loss_search"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("whole"), **SETTINGS)
    tuner.search(verbose=0)
    return tuner


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Searches that stopped after so many trials, and a finished one."""
    directories = []
    for stop_after in (1, 4, 6, 11, 13, None):
        directory = tmp_path_factory.mktemp("part")
        tuner = toy(directory, stop_after=stop_after, **SETTINGS)
        if stop_after is None:
            tuner.search(verbose=0)
        else:
            with pytest.raises(KeyboardInterrupt):
                tuner.search(verbose=0)
        directories.append(directory)
    return directories


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    directory = tmp_path_factory.mktemp("foreign")
    toy(directory, **{**SETTINGS, "seed": 99}).search(verbose=0)
    return state(directory)


def truncated(content, rng):
    return content[: rng.integers(len(content))]


def with_other_bytes(content, rng):
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content))] = rng.integers(256)
    return bytes(content)


def with_another_digit(content, rng):
    digits = [k for k, byte in enumerate(content) if chr(byte).isdigit()]
    k = rng.choice(digits)
    digit = b"0123456789".replace(content[k : k + 1], b"")[rng.integers(9)]
    return content[:k] + bytes([digit]) + content[k + 1 :]


def with_a_gap(content, rng):
    first, last = sorted(rng.integers(len(content) + 1, size=2))
    return content[:first] + content[last:]


def with_insertion(content, rng):
    k = rng.integers(len(content) + 1)
    inserted = [
        rng.bytes(rng.integers(1, 40)), b"\n", b"\r\n", b"\x00" * 512, b"null",
        b"NaN", b"1e999", b'"', b"{}\n", b"[" * 100_000, b"9" * 5_000,
    ][rng.integers(11)]  # fmt: skip
    return content[:k] + inserted + content[k:]


def with_lines_moved(content, rng):
    lines = content.splitlines(keepends=True)
    kind = rng.integers(3)
    k = rng.integers(len(lines))
    if kind == 0:
        lines.insert(rng.integers(len(lines)), lines[k])
    elif kind == 1:
        del lines[k]
    else:
        rng.shuffle(lines)
    return b"".join(lines)


def replaced(content, rng):
    values = [b"", b"[]\n", b"null\n", b"{}\n", b'"x"\n', b"\x80\x04K\x01.\n"]
    return values[rng.integers(len(values))]


MUTATIONS = [
    truncated, with_other_bytes, with_another_digit, with_a_gap,
    with_insertion, with_lines_moved, replaced,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda f: f.__name__)
def test_fuzzed_files_are_refused_or_resumed_from(
    tmp_path, parts, whole, mutate
):
    rng = np.random.default_rng(MUTATIONS.index(mutate))
    refused, resumed = 0, 0
    for case in range(200):
        directory = tmp_path / str(case)
        shutil.copytree(parts[case % len(parts)], directory)
        path = rng.choice(sorted(state(directory).iterdir()))
        path.write_bytes(mutate(path.read_bytes(), rng))
        try:
            tuner = toy(directory, **SETTINGS)
            tuner.search(verbose=0)
        except ValueError as error:
            message = str(error)
            refused += 1
            # A changed version is told by the directory's name.
            named = path.name in message or "of version" in message
            if not named or "another directory" not in message:
                pytest.fail(message)
        else:
            assert outcome(tuner) == outcome(whole)
            resumed += 1
        shutil.rmtree(directory)
    assert refused + resumed == 200
    assert refused > 0


def test_a_missing_file_is_refused_or_made_again(tmp_path, parts, whole):
    for number, part in enumerate(parts):
        for name in sorted(path.name for path in state(part).iterdir()):
            directory = tmp_path / f"{number}_{name}"
            shutil.copytree(part, directory)
            (state(directory) / name).unlink()
            if name.endswith(".json"):
                with pytest.raises(ValueError, match=f"{name} is damaged"):
                    toy(directory, **SETTINGS).search(verbose=0)
            else:
                tuner = toy(directory, **SETTINGS)
                tuner.search(verbose=0)
                assert outcome(tuner) == outcome(whole)


def test_files_of_another_search_are_refused(tmp_path, parts, foreign):
    for path in foreign.iterdir():
        directory = tmp_path / path.name
        shutil.copytree(parts[-1], directory)
        if (state(directory) / path.name).read_bytes() == path.read_bytes():
            # What says how trials are run is the same in both.
            assert path.name == "tuner.json"
            continue
        shutil.copy(path, state(directory))
        with pytest.raises(ValueError, match=r"other (settings|candidates)"):
            toy(directory, **SETTINGS)


@pytest.mark.parametrize(
    "end",
    [
        {"position": 4}, {"position": -1}, {"position": 0}, {"position": "1"},
        {"score": 1}, {"score": "0.5"}, {"score": float("nan")},
        {"score": None}, {"status": "FAILED"}, {"status": "RUNNING"},
        {"message": ["x"]}, {"raised": 0}, {"more": 1},
    ],
)  # fmt: skip
def test_ends_that_cannot_be_are_refused(tmp_path, end):
    # With a checksum that fits: somebody wrote them so.
    settings = {**SETTINGS, "stop_after": 1}
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path, **settings).search(verbose=0)
    good = {
        "position": 1, "status": "COMPLETED", "score": 0.5, "message": None,
        "raised": False,
    }  # fmt: skip
    path = state(tmp_path) / "generation_0000.jsonl"
    content = path.read_text()
    path.write_text(content + files.seal(good) + "\n")
    assert len(toy(tmp_path, **SETTINGS).results()) == 2
    path.write_text(content + files.seal({**good, **end}) + "\n")
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        toy(tmp_path, **SETTINGS)


@pytest.mark.parametrize("name", ["search.json", "generation_0000.jsonl"])
def test_links_out_of_the_directory_are_refused(tmp_path, parts, name):
    directory = tmp_path / "search"
    shutil.copytree(parts[0], directory)
    elsewhere = tmp_path / "elsewhere"
    (state(directory) / name).rename(elsewhere)
    (state(directory) / name).symlink_to(elsewhere)
    content = elsewhere.read_bytes()
    with pytest.raises(ValueError, match=f"{name} is damaged.*it is a link"):
        toy(directory, **SETTINGS).search(verbose=0)
    assert elsewhere.read_bytes() == content


@pytest.mark.parametrize("name", ["loss_search", ".loss_search.lock"])
def test_a_directory_that_is_a_link_is_refused(tmp_path, parts, name):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(state(parts[0]), elsewhere)
    before = {p: p.read_bytes() for p in elsewhere.iterdir()}
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(RuntimeError, match=rf"{name} is a link"):
        toy(tmp_path, **SETTINGS).search(verbose=0)
    assert {p: p.read_bytes() for p in elsewhere.iterdir()} == before


def test_a_temporary_file_that_is_a_link_is_not_followed(tmp_path, whole):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state(tmp_path).mkdir()
    for name in ("search.json", "tuner.json", "generation_0001.jsonl"):
        (state(tmp_path) / f".{name}.tmp").symlink_to(victim)
    tuner = toy(tmp_path, **SETTINGS)
    tuner.search(verbose=0)
    assert outcome(tuner) == outcome(whole)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    "content",
    [
        {"version": 5}, {"version": 5, "settings": [1]},
        {"version": 5, "settings": {}},
        *({"version": 5, "settings": {"seed": seed}}
          for seed in ("abc", -1, 1.5, None)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, None])
def test_settings_that_cannot_be_are_refused(tmp_path, content, seed):
    state(tmp_path).mkdir()
    files.write_sealed(state(tmp_path) / "search.json", content)
    with pytest.raises(ValueError, match=r"search\.json is damaged"):
        toy(tmp_path, **{**SETTINGS, "seed": seed})


def test_a_pipe_is_refused(tmp_path):
    state(tmp_path).mkdir()
    os.mkfifo(state(tmp_path) / "search.json")
    with pytest.raises(ValueError, match=r"search\.json is damaged.*no file"):
        toy(tmp_path, **SETTINGS)


def test_looking_at_a_search_changes_nothing(tmp_path, parts):
    directory = tmp_path / "search"
    shutil.copytree(parts[2], directory)
    path = state(directory) / "generation_0001.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    before = {p: p.read_bytes() for p in state(directory).iterdir()}
    assert len(toy(directory, **SETTINGS).results()) == 5
    assert {p: p.read_bytes() for p in state(directory).iterdir()} == before


def limited(directory, settings, size):
    """A search whose files cannot grow beyond so many bytes."""
    tuner = toy(directory, **settings)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        tuner.search(verbose=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_loses_nothing(tmp_path, whole):
    sizes = {
        path.name: path.stat().st_size
        for path in state(pathlib.Path(whole.directory)).iterdir()
    }
    size = sizes["generation_0001.jsonl"]
    log = tmp_path / "log"
    ended = []
    # From nothing, over the header, to the middle of the last line.
    for limit in (1, 300, size // 2, size - 150, size - 20):
        process = processes.start(log, limited, tmp_path, SETTINGS, limit)
        process.join(60)
        assert process.exitcode == 1
        error = log.read_text().splitlines()[-1]
        assert error.startswith("OSError: [Errno ")
        assert "make room and continue" in error
        assert str(state(tmp_path)) in error
        ended.append(len(toy(tmp_path, **SETTINGS).results()))
    assert ended == sorted(ended)
    assert 0 < ended[-1] < whole.oracle.max_trials
    rest = toy(tmp_path, **SETTINGS)
    rest.search(verbose=0)
    assert outcome(rest) == outcome(whole)
    names = {path.name for path in state(tmp_path).iterdir()}
    assert names == set(sizes)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_process_is_refused(tmp_path, overwrite):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**SETTINGS, "duration": 0.2}
    with processes.killed_at_the_end(
        processes.start(tmp_path / "log", search, tmp_path, slow, trials)
    ) as (process,):
        processes.wait_for(trials.read_text)
        with pytest.raises(RuntimeError, match="Another process is searching"):
            toy(tmp_path, overwrite=overwrite, **SETTINGS).search(verbose=0)
        assert (state(tmp_path) / "search.json").exists()
        process.kill()
        process.join()
        # Its lock died with it.
        toy(tmp_path, **SETTINGS).search(verbose=0)


def test_what_another_process_added_is_seen(tmp_path, whole):
    early = toy(tmp_path, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path, stop_after=6, **SETTINGS).search(verbose=0)
    early.search(verbose=0)
    assert len(early.ran) == whole.oracle.max_trials - 6
    assert outcome(early) == outcome(whole)


def test_the_files_can_be_read_by_anybody(tmp_path, parts):
    for path in state(parts[-1]).iterdir():
        for text in (
            [path.read_text()]
            if path.suffix == ".json"
            else path.read_text().splitlines()
        ):
            assert "crc32" in json.loads(text)

"""State files that are damaged, foreign, in use, or do not fit on the disk."""

import json
import os
import pathlib
import resource
import shutil

import numpy as np
import pytest

from keras_arl.search import LossTuner
from keras_arl.search import TaylorSpace
from keras_arl.search import durable
from keras_arl.search.journal import VERSION
from keras_arl.search.journal import Journal
from tests import processes
from tests.search.toy import ToyTrainer
from tests.search.toy import outcome
from tests.search.toy import search
from tests.search.toy import toy

SETTINGS = {
    "generations": 2, "popsize": 4, "selection_tasks": 1, "finalists": 1,
    "noise": 0.3,
}  # fmt: skip


def state(directory):
    return pathlib.Path(directory) / "loss_search"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("whole"), **SETTINGS)
    tuner.search(verbose=0)
    return tuner


@pytest.fixture(scope="module")
def parts(tmp_path_factory, whole):
    """Searches that stopped after so many trials, and a finished one."""
    directories = []
    for stop_after in (1, 4, 6, 8):
        directory = tmp_path_factory.mktemp("part")
        tuner = toy(directory, stop_after=stop_after, **SETTINGS)
        with pytest.raises(KeyboardInterrupt):
            tuner.search(verbose=0)
        directories.append(directory)
    return [*directories, whole.directory]


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


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda f: f.__name__)
def test_fuzzed_files_are_refused_or_resumed_from(
    tmp_path, parts, whole, mutate
):
    rng = np.random.default_rng(MUTATIONS.index(mutate))
    refused, resumed = 0, 0
    for case in range(100):
        directory = tmp_path / str(case)
        shutil.copytree(parts[case % len(parts)], directory)
        path = rng.choice(sorted(state(directory).iterdir()))
        path.write_bytes(mutate(path.read_bytes(), rng))
        try:
            tuner = toy(directory, **SETTINGS)
            tuner.search(verbose=0)
        except ValueError as error:
            refused += 1
            if path.name not in (message := str(error)) or (
                "another directory" not in message
            ):
                pytest.fail(message)
        else:
            assert outcome(tuner) == outcome(whole)
            resumed += 1
        shutil.rmtree(directory)
    assert refused + resumed == 100
    assert refused > 0


def test_a_missing_file_is_refused_or_made_again(tmp_path, parts, whole):
    for number, part in enumerate(parts):
        for name in ("search.json", "results.jsonl"):
            directory = tmp_path / f"{number}_{name}"
            shutil.copytree(part, directory)
            (state(directory) / name).unlink()
            if name == "search.json":
                with pytest.raises(ValueError, match=f"{name} is damaged"):
                    toy(directory, **SETTINGS).search(verbose=0)
            else:
                tuner = toy(directory, **SETTINGS)
                tuner.search(verbose=0)
                assert outcome(tuner) == outcome(whole)


def test_files_of_another_search_are_refused(tmp_path, parts):
    other = tmp_path / "other"
    toy(other, **{**SETTINGS, "seed": 99}).search(verbose=0)
    for name, message in (
        ("search.json", "seed: 99 there, 0 asked"),
        ("results.jsonl", "holds other candidates or tasks"),
    ):
        directory = tmp_path / name
        shutil.copytree(parts[-1], directory)
        shutil.copy(state(other) / name, state(directory))
        with pytest.raises(ValueError, match=message):
            toy(directory, **SETTINGS)


def test_a_version_of_another_program_is_refused(tmp_path, parts):
    directory = tmp_path / "search"
    shutil.copytree(parts[-1], directory)
    path = state(directory) / "search.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "version": 6}))
    with pytest.raises(ValueError, match=r"search\.json is of.* version 6; "):
        toy(directory, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("popsize", 6, "popsize: .* there, 6 asked"),
        ("sigma0", 0.7, "sigma0: .* there, 0.7 asked"),
        ("selection_tasks", 5, "selection_tasks: .* there, 5 asked"),
        ("space", TaylorSpace(3), "order: 4 there, 3 asked"),
    ],
)
def test_other_settings_are_refused(tmp_path, parts, name, value, message):
    directory = tmp_path / "search"
    shutil.copytree(parts[2], directory)
    other = {**SETTINGS, name: value}
    with pytest.raises(ValueError, match=message):
        toy(directory, **other)
    anew = toy(directory, overwrite=True, **other)
    assert anew.oracle.trials == {}


def another_task(seed):
    raise NotImplementedError


def test_another_task_function_is_refused_with_the_difference(tmp_path, parts):
    directory = tmp_path / "search"
    shutil.copytree(parts[-1], directory)
    tuner = toy(directory, **SETTINGS)
    with pytest.raises(ValueError, match=r"(?s)tasks: .*-.*def toy_task.*\+.*"):
        LossTuner(
            tuner.oracle, another_task, trainer=ToyTrainer(),
            directory=directory,
        )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"trial": 4}, {"trial": -1}, {"trial": 0}, {"trial": "1"},
        {"trial": None}, {"task_seed": 5}, {"score": 1}, {"score": "0.5"},
        {"score": float("nan")},
        {"message": ["x"]}, {"message": None}, {"raised": 0}, {"more": 1},
    ],
)  # fmt: skip
def test_results_that_cannot_be_are_refused(tmp_path, fields):
    # With a checksum that fits: somebody wrote them so.
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path, stop_after=1, **SETTINGS).search(verbose=0)
    path = state(tmp_path) / "results.jsonl"
    content = path.read_text()
    good = {**json.loads(content.splitlines()[-1]), "trial": 1}
    del good["crc32"]
    path.write_text(content + durable.seal(good) + "\n")
    assert len(toy(tmp_path, **SETTINGS).results()) == 2
    path.write_text(content + durable.seal({**good, **fields}) + "\n")
    with pytest.raises(ValueError, match=r"results\.jsonl is damaged"):
        toy(tmp_path, **SETTINGS)


@pytest.mark.parametrize("name", ["search.json", "results.jsonl"])
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


@pytest.mark.parametrize(
    "content", [{"version": VERSION}, {"version": VERSION, "settings": [1]}]
)
def test_settings_that_cannot_be_are_refused(tmp_path, content):
    state(tmp_path).mkdir()
    durable.write_sealed(state(tmp_path) / "search.json", content)
    with pytest.raises(ValueError, match=r"search\.json is damaged"):
        toy(tmp_path, **SETTINGS)


def test_a_pipe_is_refused(tmp_path):
    state(tmp_path).mkdir()
    os.mkfifo(state(tmp_path) / "search.json")
    with pytest.raises(ValueError, match=r"search\.json is damaged.*no file"):
        toy(tmp_path, **SETTINGS)


def test_a_line_that_was_not_written_whole_is_a_trial_to_run(
    tmp_path, parts, whole
):
    directory = tmp_path / "search"
    shutil.copytree(parts[2], directory)
    path = state(directory) / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    before = path.read_bytes()
    rest = toy(directory, **SETTINGS)
    # Looking at a search changes nothing.
    assert len(rest.results()) == 5
    assert path.read_bytes() == before
    rest.search(verbose=0)
    assert rest.trainer.ran == whole.trainer.ran[5:]
    assert outcome(rest) == outcome(whole)


@pytest.mark.parametrize("ended", [0, 2, 3])
def test_resume_after_an_interruption_between_the_file_and_memory(
    tmp_path, monkeypatch, whole, ended
):
    part = toy(tmp_path, **SETTINGS)
    append = Journal.append

    def interrupted(journal, generation, results):
        append(journal, generation, results)
        if ended in results:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            part.search(verbose=0)
    # In the same process, too, it is read from the file.
    part.search(verbose=0)
    assert part.trainer.ran == whole.trainer.ran
    assert outcome(part) == outcome(whole)
    assert toy(tmp_path, **SETTINGS).results() == whole.results()


def limited(directory, settings, size):
    """A search whose files cannot grow beyond so many bytes."""
    tuner = toy(directory, **settings)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        tuner.search(verbose=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_is_on_the_disk_before_the_next_training(
    tmp_path, monkeypatch
):
    synced, behind = {}, []
    fsync = os.fsync

    def watched(descriptor):
        fsync(descriptor)
        there = os.fstat(descriptor)
        synced[there.st_ino] = there.st_size

    class Watching(ToyTrainer):
        def hold(self, task, loss):
            files = [path.stat() for path in state(tmp_path).iterdir()]
            behind.append(
                [f for f in files if synced.get(f.st_ino) != f.st_size]
            )

    monkeypatch.setattr(os, "fsync", watched)
    tuner = toy(tmp_path, Watching(), **SETTINGS)
    tuner.search(verbose=0)
    assert len(behind) > SETTINGS["popsize"]
    assert not any(behind)
    assert state(tmp_path).stat().st_ino in synced


def test_a_disk_that_is_full_loses_nothing(tmp_path):
    settings = {**SETTINGS, "generations": 3}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    size = (state(whole.directory) / "results.jsonl").stat().st_size
    log = tmp_path / "log"
    ended = []
    # From nothing, over the settings, to the middle of the last line.
    for limit in (1, 5000, size // 2, size - 150, size - 20):
        process = processes.start(log, limited, tmp_path, settings, limit)
        process.join(60)
        assert process.exitcode == 1
        error = log.read_text().splitlines()[-1]
        assert error.startswith("OSError: [Errno ")
        assert "make room and continue" in error
        assert str(state(tmp_path)) in error
        ended.append(len(toy(tmp_path, **settings).results()))
    assert ended == sorted(ended)
    assert 0 < ended[-1] < whole.oracle.max_trials
    rest = toy(tmp_path, **settings)
    rest.search(verbose=0)
    assert outcome(rest) == outcome(whole)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_process_is_refused(tmp_path, overwrite):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**SETTINGS, "duration": 0.2, "log": str(trials)}
    with processes.killed_at_the_end(
        processes.start(tmp_path / "log", search, tmp_path, slow)
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
    assert len(early.trainer.ran) == whole.oracle.max_trials - 6
    assert outcome(early) == outcome(whole)

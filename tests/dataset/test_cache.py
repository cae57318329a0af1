"""A whole folder prepared once ever, whatever happens meanwhile; what cannot be read is listed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from lungassist.classes import COVID, NORMAL
from lungassist.dataset import PreparedImages, cache, index_folder, list_caches, open_cache, remove_cache
from lungassist.errors import CacheError, DatasetError, StoppedError
from lungassist.imaging import read_file
from lungassist.preprocess import ENHANCEMENTS, Preprocessing, prepare_image
from lungassist.settings import Settings
from tests.drawn import film, png, write_films

ROOT = Path(__file__).parents[2]
SMALL_SQUARE = Preprocessing(size=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return aged(write_films(tmp_path / "data", {COVID: 5, NORMAL: 4}))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose pixels were decoded, as it happens."""
    names: list[str] = []
    read = cache.read_radiograph
    monkeypatch.setattr(
        cache, "read_radiograph", lambda data, name, limits: names.append(name) or read(data, name, limits)
    )
    return names


def aged(root: Path) -> Path:
    """Files that nobody has touched for a minute."""
    for path in root.rglob("*.*"):
        os.utime(path, (time.time() - 60,) * 2)
    return root


def opened(root: Path, preprocessing: Preprocessing = SMALL_SQUARE, **options: object) -> PreparedImages:
    return open_cache(index_folder(root), preprocessing, Settings.from_environment(), **options)  # type: ignore[arg-type]


def expected(root: Path, preprocessing: Preprocessing = SMALL_SQUARE) -> np.ndarray:
    settings = Settings.from_environment()
    files = index_folder(root).table["file"]
    return np.stack([prepare_image(read_file(root / file, settings).pixels, preprocessing) for file in files])


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
def test_every_image_is_in_its_place_byte_for_byte(folder: Path, workers: int, enhancement: str) -> None:
    preprocessing = Preprocessing(size=48, enhancement=enhancement)
    prepared = opened(folder, preprocessing, workers=workers)
    np.testing.assert_array_equal(np.asarray(prepared.images), expected(folder, preprocessing))
    assert prepared.readable.all()
    assert prepared.unreadable == {}
    assert prepared.sizes.tolist() == [[72, 60]] * 9


def test_rows_are_read_as_from_an_array(folder: Path) -> None:
    images, whole = opened(folder).images, expected(folder)
    assert images.shape == whole.shape
    assert len(images) == 9
    for chosen in (3, -1, slice(2, 5), np.array([4, 0, 4]), [8, 1], whole[:, 0, 0] % 2 == 0, np.zeros(0, np.int64)):
        np.testing.assert_array_equal(images[chosen], whole[chosen])
    with pytest.raises(IndexError):
        images[9]


def test_what_cannot_be_read_is_listed_and_the_rest_is_prepared(folder: Path) -> None:
    broken = folder / COVID / "images" / "COVID-2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    (folder / NORMAL / "images" / "Normal-1.png").write_bytes(b"")
    for _ in range(2):
        prepared = opened(folder)
        assert set(prepared.unreadable) == {"COVID/images/COVID-2.png", "Normal/images/Normal-1.png"}
        assert all("COVID-2" in reason or "Normal-1" in reason for reason in prepared.unreadable.values())
        np.testing.assert_array_equal(np.flatnonzero(~prepared.readable), [1, 5])
        assert not prepared.images[1].any()
        assert not prepared.images[[0, 1]][1].any()
        assert prepared.images[0].any()


def test_nothing_readable_at_all_is_no_crash(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    prepared = opened(folder)
    assert len(prepared.unreadable) == 9
    assert np.asarray(prepared.images).shape == (9, 32, 32)


def test_the_content_hash_is_of_bytes_and_labels(folder: Path, tmp_path: Path) -> None:
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}\t{path.parent.parent.name}" for path in folder.glob("*/*/*")
    )
    before = opened(folder).content_hash
    assert before == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    # The same images under other names, in the other layout, are the same data.
    for label in (COVID, NORMAL):
        (tmp_path / "flat" / label).mkdir(parents=True)
        for number, path in enumerate(sorted((folder / label / "images").iterdir(), reverse=True)):
            shutil.copy(path, tmp_path / "flat" / label / f"{number}.png")
    assert opened(tmp_path / "flat").content_hash == before
    shutil.move(folder / COVID / "images" / "COVID-1.png", folder / NORMAL / "images")
    assert opened(folder).content_hash != before


def test_an_image_is_decoded_once_ever(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    opened(folder)
    assert len(decoded) == 9
    opened(folder)
    moved = folder.rename(tmp_path / "moved")
    shutil.copy(moved / COVID / "images" / "COVID-1.png", moved / COVID / "images" / "copy.png")
    prepared = opened(moved)
    assert len(decoded) == 9
    rows = prepared.images.rows
    assert rows[0] == rows[5], "two files of the same bytes share their pixels"
    np.testing.assert_array_equal(np.asarray(prepared.images), expected(moved))


def test_a_file_that_is_as_it_was_is_not_even_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = np.asarray(opened(folder).images)
    monkeypatch.setattr(cache, "read_bounded", lambda *_: pytest.fail("a file was read"))
    np.testing.assert_array_equal(np.asarray(opened(folder).images), before)


def test_a_file_that_was_just_written_is_not_trusted_to_stay(folder: Path) -> None:
    path = folder / COVID / "images" / "COVID-1.png"
    first, second = (png(film(COVID, seed)) for seed in (50, 51))
    padding = max(len(first), len(second))
    moment = time.time_ns()
    for data in (first, second):  # two writes within a tick of the file system's clock, to the same length
        path.write_bytes(data.ljust(padding, b"\0"))
        os.utime(path, ns=(moment, moment))
        prepared = opened(folder)
    np.testing.assert_array_equal(prepared.images[0], expected(folder)[0])


def test_files_that_changed_came_or_went_are_seen(folder: Path, decoded: list[str]) -> None:
    opened(folder)
    (folder / COVID / "images" / "COVID-1.png").write_bytes(png(film(NORMAL, 77)))
    (folder / COVID / "images" / "COVID-2.png").unlink()
    (folder / COVID / "images" / "new.png").write_bytes(png(film(NORMAL, 78)))
    prepared = opened(folder)
    assert sorted(decoded[9:]) == ["COVID-1.png", "new.png"]
    np.testing.assert_array_equal(np.asarray(prepared.images), expected(folder))


def test_a_file_that_goes_after_it_was_indexed_is_listed(folder: Path) -> None:
    index = index_folder(folder)
    (folder / COVID / "images" / "COVID-3.png").unlink()
    prepared = open_cache(index, SMALL_SQUARE, Settings.from_environment())
    assert list(prepared.unreadable) == ["COVID/images/COVID-3.png"]


def test_a_folder_that_is_gone_is_no_list_of_unreadable_files(folder: Path) -> None:
    index = index_folder(folder)
    shutil.rmtree(folder / NORMAL)
    with pytest.raises(DatasetError, match=r"Normal/images is gone. Is its disk connected"):
        open_cache(index, SMALL_SQUARE, Settings.from_environment())
    shutil.rmtree(folder)
    with pytest.raises(DatasetError, match="data is gone"):
        open_cache(index, SMALL_SQUARE, Settings.from_environment())


def test_each_way_of_preparing_has_its_own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Preprocessing(size=size, enhancement=word) for size in (32, 40) for word in ("none", "smqt")]
    for way in ways:
        opened(folder, way)
    for way in ways:
        np.testing.assert_array_equal(np.asarray(opened(folder, way).images), expected(folder, way))
    assert [(entry.side, entry.enhancement, entry.images) for entry in list_caches(Settings.from_environment())] == [
        (32, "none", 9),
        (32, "smqt", 9),
        (40, "none", 9),
        (40, "smqt", 9),
    ]
    # How values are standardised is no matter of the pixels.
    assert cache.cache_name(Preprocessing.named("imagenet", size=32)) == cache.cache_name(ways[0])
    monkeypatch.setattr(cache, "prepare_image", lambda pixels, way: prepare_image(pixels, way) // 2)
    assert opened(folder).images[0].max() < 128, "other code, other bytes, another cache"


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
def test_the_cache_of_every_enhancement_is_listed_and_can_be_removed(folder: Path, enhancement: str) -> None:
    opened(folder, Preprocessing(size=32, enhancement=enhancement))
    (entry,) = list_caches(Settings.from_environment())
    assert (entry.side, entry.enhancement, entry.images) == (32, enhancement, 9)
    remove_cache(entry)
    assert list_caches(Settings.from_environment()) == []


def test_progress_ends_with_all(folder: Path) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        opened(folder, progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1] == (9, 9)


def test_stopping_keeps_what_was_done(tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CHUNK", 4)
    folder = aged(write_films(tmp_path / "data", {COVID: 20, NORMAL: 20}))
    asked: Iterator[bool] = iter([False] * 10)
    with pytest.raises(StoppedError, match="is kept"):
        opened(folder, workers=1, stop=lambda: next(asked, True))
    (entry,) = list_caches(Settings.from_environment())
    assert entry.images == 11
    del decoded[:]
    np.testing.assert_array_equal(np.asarray(opened(folder).images), expected(folder))
    assert len(decoded) == 29


CHILD = """
import os, signal, sys, time
from pathlib import Path
from lungassist.dataset import cache, cache_folder, index_folder, open_cache
from lungassist.preprocess import Preprocessing
from lungassist.settings import Settings
mode = sys.argv[2]
cache._CHUNK = 16
decoded = 0
read = cache.read_radiograph
def counting(*arguments):
    global decoded
    decoded += 1
    return read(*arguments)
cache.read_radiograph = counting
append = cache_folder.CacheFolder.append
def fatal(self, first, images):
    append(self, first, images if first == 0 else images[: len(images) // 2])
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
if mode == "between":
    cache_folder.CacheFolder.append = fatal
def progress(done, total):
    print(done, flush=True)
    if mode == "slow":
        time.sleep(0.3)
prepared = open_cache(
    index_folder(Path(sys.argv[1])), Preprocessing(size=32), Settings.from_environment(), progress=progress
)
print("content", prepared.content_hash, decoded, int(prepared.readable.sum()), flush=True)
"""


def child(folder: Path, mode: str = "plain") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), mode], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("when", ["slow", "between"])
def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path: Path, decoded: list[str], when: str) -> None:
    folder = aged(write_films(tmp_path / "data", {COVID: 60, NORMAL: 60}))
    process = child(folder, when)
    assert process.stdout is not None
    if when == "slow":
        for line in process.stdout:
            if int(line) >= 64:
                process.send_signal(signal.SIGKILL)
                break
    process.wait(60)
    assert process.returncode == -signal.SIGKILL
    (entry,) = list_caches(Settings.from_environment())
    assert 16 <= entry.images < 120
    prepared = opened(folder)
    np.testing.assert_array_equal(np.asarray(prepared.images), expected(folder))
    assert len(decoded) == 120 - entry.images


def test_two_jobs_at_once_share_the_work(tmp_path: Path) -> None:
    folder = aged(write_films(tmp_path / "data", {COVID: 60, NORMAL: 60}))
    words = [process.communicate(timeout=120)[0].split() for process in [child(folder, "slow"), child(folder, "slow")]]
    contents = [line[line.index("content") + 1 :] for line in words]
    assert contents[0][0] == contents[1][0] == opened(folder).content_hash
    assert int(contents[0][1]) + int(contents[1][1]) == 120
    assert contents[0][2] == contents[1][2] == "120"


def test_who_waits_for_another_can_be_stopped(folder: Path) -> None:
    settings = Settings.from_environment()
    settings.cache_dir.mkdir(parents=True)
    with FileLock(settings.cache_dir / f"{cache.cache_name(SMALL_SQUARE)}.lock"), pytest.raises(StoppedError):
        opened(folder, stop=lambda: True)


def files_of_the_cache() -> Path:
    (entry,) = list_caches(Settings.from_environment())
    return entry.path


@pytest.mark.parametrize("damage", ["garbage", "cut", "emptied", "other format", "no pixels", "fewer pixels"])
def test_a_damaged_cache_is_made_again(folder: Path, damage: str) -> None:
    opened(folder)
    place = files_of_the_cache()
    database = place / "records.db"
    match damage:
        case "garbage":
            database.write_bytes(b"garbage" * 1000)
        case "cut":
            database.write_bytes(database.read_bytes()[:5000])
        case "emptied":
            database.write_bytes(b"")
        case "other format":
            connection = sqlite3.connect(database)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        case "no pixels":
            (place / "images.u8").unlink()
        case "fewer pixels":
            os.truncate(place / "images.u8", 3 * 32 * 32 + 5)
    np.testing.assert_array_equal(np.asarray(opened(folder).images), expected(folder))
    np.testing.assert_array_equal(np.asarray(opened(folder).images), expected(folder))


def test_a_disk_without_room_is_told_before_anything_is_decoded(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(CacheError, match=r"Preparing 9 images needs 0 MB .* 0 MB are free.*LUNGASSIST_HOME"):
        opened(folder)
    assert decoded == []


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CHUNK", 4)
    folder = aged(write_films(tmp_path / "data", {COVID: 10, NORMAL: 10}))
    sync, calls = os.fsync, iter(range(100))

    def full(handle: int) -> None:
        if next(calls) >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(CacheError, match=r"is full\. What was prepared until now is kept"):
            opened(folder)
    (entry,) = list_caches(Settings.from_environment())
    assert entry.images == 8
    np.testing.assert_array_equal(np.asarray(opened(folder).images), expected(folder))


def test_a_place_that_cannot_be_written_to_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LUNGASSIST_HOME", str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"cannot be written to: Not a directory.*LUNGASSIST_HOME"):
        opened(folder)


def test_a_read_only_cache_serves_what_it_holds(folder: Path) -> None:
    opened(folder)
    place = files_of_the_cache()
    for path in (*place.iterdir(), place, place.parent):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if os.access(place, os.W_OK):
            pytest.skip("nothing is read-only for this user")
        np.testing.assert_array_equal(np.asarray(opened(folder).images), expected(folder))
        (folder / COVID / "images" / "new.png").write_bytes(png(film(COVID, 99)))
        with pytest.raises(CacheError, match="cannot be written to"):
            opened(folder)
    finally:
        place.parent.chmod(0o755)
        place.chmod(0o755)


def test_caches_are_listed_with_their_size_and_can_be_removed(folder: Path) -> None:
    settings = Settings.from_environment()
    assert list_caches(settings) == []
    prepared = opened(folder, Preprocessing(size=256))
    (settings.cache_dir / "something else").mkdir()
    (entry,) = list_caches(settings)
    assert 9 * 256 * 256 <= entry.size_bytes < 9 * 256 * 256 + 100_000
    with FileLock(entry.path.with_name(f"{entry.path.name}.lock")), pytest.raises(CacheError, match="being written to"):
        remove_cache(entry)
    remove_cache(entry)
    assert list_caches(settings) == []
    assert prepared.images[0].any(), "what is open stays open"
    with pytest.raises(CacheError, match="No such file"):
        remove_cache(entry)

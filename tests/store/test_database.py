"""Databases opened for the first time, anew, by many at once, and in every state in which they cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, insert, inspect, select, text

from lungassist.errors import StoreError
from lungassist.store import Store, open_store
from lungassist.store.schema import NEWEST, jobs, metadata
from lungassist.store.upgrade import configuration

ROOT = Path(__file__).resolve().parents[2]

ROW = {
    "kind": "finetune",
    "title": "a job",
    "arguments": ["train.finetune"],
    "resume_arguments": ["train.finetune"],
    "run_dir": "/runs/a",
    "resource": "cpu",
    "host": "here",
    "state": "queued",
    "cause": "",
    "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "turn": 1,
    "attempts": 0,
    "token": "",
    "handle": {},
    "details": {"preset": "quick", "ünicode": ["肺"]},
}


def add_row(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(insert(jobs).values(ROW))


def count(store: Store) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def test_what_was_written_is_there_when_opened_again(database_url: str) -> None:
    store = open_store(database_url)
    add_row(store)
    store.close()
    again = open_store(database_url)
    with again.reading() as connection:
        row = connection.execute(select(jobs)).one()
    assert {name: getattr(row, name) for name in ROW} == ROW
    again.close()


def test_moments_are_the_same_wherever_they_were_taken(database_url: str) -> None:
    store = open_store(database_url)
    east = datetime(2026, 6, 1, 12, 0, tzinfo=timezone(timedelta(hours=7)))
    with store.writing() as connection:
        connection.execute(insert(jobs).values({**ROW, "started": east}))
    with store.reading() as connection:
        started = connection.execute(select(jobs.c.started)).scalar_one()
    assert started == east
    assert started.utcoffset() == timedelta(0)
    store.close()


def test_the_migrations_build_exactly_the_tables_that_the_code_uses(database_url: str) -> None:
    store = open_store(database_url)
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert ScriptDirectory.from_config(configuration()).get_current_head() == NEWEST
    store.close()


def test_many_processes_that_open_an_absent_database_at_once_all_get_it(database_url: str) -> None:
    code = "import sys; from lungassist.store import open_store; open_store(sys.argv[1], patience=60)"
    line = [sys.executable, "-c", code, database_url]
    processes = [subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate(timeout=120)[1] for process in processes] == [""] * 6
    store = open_store(database_url)
    assert count(store) == 0
    store.close()


def test_a_transaction_that_fails_leaves_nothing(database_url: str) -> None:
    store = open_store(database_url)
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        connection.execute(insert(jobs).values(ROW))
        1 / 0  # noqa: B018
    assert count(store) == 0
    store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database_url: str) -> None:
    store = open_store(database_url)
    add_row(store)
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of LungAssist.*'9999'"):
        open_store(database_url)
    assert count(store) == 1
    store.close()


def test_a_number_is_not_given_twice(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    add_row(store)
    with store.writing() as connection:
        connection.execute(jobs.delete())
    add_row(store)
    with store.reading() as connection:
        assert connection.execute(select(jobs.c.id)).scalar_one() == 2


def test_readers_do_not_wait_for_a_writer(sqlite_url: str) -> None:
    store = open_store(sqlite_url, patience=0.1)
    with store.writing() as connection:
        connection.execute(insert(jobs).values(ROW))
        assert count(store) == 0
    assert count(store) == 1


def test_a_writer_waits_no_longer_than_it_is_patient(database_url: str) -> None:
    store, impatient = open_store(database_url), open_store(database_url, patience=0.2)
    with store.writing(), pytest.raises(StoreError, match=r"locked by another.*running jobs go on"):
        add_row(impatient)
    add_row(impatient)
    assert count(store) == 1
    store.close()
    impatient.close()


def test_a_database_that_somebody_holds_for_himself_is_called_locked(sqlite_url: str, home: Path) -> None:
    open_store(sqlite_url).close()
    with sqlite3.connect(home / "lungassist.db") as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("UPDATE jobs SET title = ''")
        with pytest.raises(StoreError, match="locked by another process"):
            open_store(sqlite_url, patience=0.1)
    holder.close()


@pytest.mark.parametrize("content", [b"this is no database at all, but text " * 100, b"\x89PNG" * 500])
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(sqlite_url: str, home: Path, content: bytes) -> None:
    (home / "lungassist.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"lungassist\.db is no SQLite database, or damaged\. Move it away"):
        open_store(sqlite_url)
    assert (home / "lungassist.db").read_bytes() == content


def test_a_damaged_database_says_so(sqlite_url: str, home: Path) -> None:
    store = open_store(sqlite_url)
    for _ in range(200):
        add_row(store)
    store.close()
    path = home / "lungassist.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="damaged"):
        count(open_store(sqlite_url))


def test_a_full_disk_is_called_so_and_what_was_there_stays(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    add_row(store)
    with pytest.raises(StoreError, match="disk is full"), store.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))  # of this connection alone: SQLite's own stand-in
        connection.execute(insert(jobs).values({**ROW, "title": "x" * 1_000_000}))
    store.close()
    assert count(open_store(sqlite_url)) == 1


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_folder_that_may_not_be_written_is_called_read_only(sqlite_url: str, home: Path, journal: str) -> None:
    open_store(sqlite_url).close()
    with sqlite3.connect(home / "lungassist.db") as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    (home / "lungassist.db").chmod(0o444)
    home.chmod(0o555)
    try:
        assert "read-only" in opened_by_nobody(sqlite_url, home)
    finally:
        home.chmod(0o755)


def opened_by_nobody(url: str, home: Path) -> str:
    """What opening says to a user to whom permissions mean something; root may write anything."""
    code = (
        "import os, sys\n"
        "from lungassist.errors import StoreError\n"
        "from lungassist.store import open_store\n"
        "open_store('sqlite:///' + sys.argv[2]).close()  # loads what nobody may not read\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: open_store(sys.argv[1], patience=0.1)\n"
        "except StoreError as error: print(error)"
    )
    if os.getuid() == 0:
        for folder in [home, *home.parents]:
            folder.chmod(folder.stat().st_mode | 0o005)
    line = [sys.executable, "-c", code, url, str(home.parent / "warm.db")]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_folder_that_cannot_be_made_is_named(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/below.*cannot be made: Not a directory"):
        open_store(f"sqlite:///{home}/file/below/a.db")


def test_a_folder_in_place_of_the_file_cannot_be_opened(home: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"sqlite:///{home}")


def test_a_database_that_is_replaced_under_way_is_not_written_to_in_the_void(sqlite_url: str, home: Path) -> None:
    store = open_store(sqlite_url)
    add_row(store)
    for path in home.glob("lungassist.db*"):
        path.unlink()
    with pytest.raises(StoreError, match="Start LungAssist again"):
        add_row(store)
    assert count(open_store(sqlite_url)) == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no address of a database"),
        ("mysql://user:secret@host/name", "of kind 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://user:secret@127.0.0.1:1/name", "does not answer"),
    ],
)
def test_an_address_that_leads_nowhere_says_what_is_expected_and_no_password(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        open_store(url, patience=0.2)
    assert "secret" not in str(caught.value)


def test_postgresql_without_the_database_says_so(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="does not exist on its server"):
        open_store(postgres_url.replace("/lungassist_", "/absent_"))


def test_postgresql_that_is_read_only_says_so(postgres_url: str) -> None:
    joint = "&" if "?" in postgres_url else "?"
    with pytest.raises(StoreError, match="read-only at present"):
        open_store(f"{postgres_url}{joint}options=-cdefault_transaction_read_only%3Don")


def test_postgresql_may_be_restarted_under_way(postgres_url: str) -> None:
    store = open_store(postgres_url)
    add_row(store)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert count(store) == 1
    store.close()


def test_an_up_to_date_database_opens_without_loading_alembic(database_url: str) -> None:
    open_store(database_url).close()
    code = (
        "import sys; from lungassist.store import open_store; open_store(sys.argv[1]); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, database_url], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_sqlite_is_in_wal_and_its_tables_are_all_there(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    with store.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert set(inspect(connection).get_table_names()) >= set(metadata.tables)

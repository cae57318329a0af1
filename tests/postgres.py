"""A PostgreSQL for tests: the one that LUNGASSIST_TEST_DATABASE_URL names, or a private cluster, started and ended."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

NAMED = "LUNGASSIST_TEST_DATABASE_URL"


def server() -> Iterator[str]:
    """The address of a server on which databases may be created; the test is skipped if there is none."""
    if url := os.environ.get(NAMED):
        yield url
        return
    folder = programs()
    if folder is None:
        pytest.skip(f"PostgreSQL's initdb and pg_ctl are not installed, and {NAMED} names no server")
    user = unprivileged()
    if user is None:
        pytest.skip(f"PostgreSQL refuses to run as root, there is no user for it, and {NAMED} names no server")
    yield from private_cluster(folder, user)


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps them out of the PATH."""
    if found := shutil.which("pg_ctl"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return installed[-1].parent if installed else None


def unprivileged() -> str | None:
    """Who the cluster can run as."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


def user_group(user: str) -> int:
    """The number of a user's own group."""
    return pwd.getpwnam(user).pw_gid


def private_cluster(folder: Path, user: str) -> Iterator[str]:
    """A cluster on a socket in a temporary folder, which nobody else finds, and which goes with the tests."""
    place = Path(tempfile.mkdtemp(prefix="lungassist-pg-", dir="/tmp"))  # a socket's path must be short
    if os.getuid() == 0:
        shutil.chown(place, user)

    def call(name: str, *arguments: str) -> None:
        line = [str(folder / name), "-D", str(place / "data"), *arguments]
        other = {"user": user, "group": user_group(user), "extra_groups": []} if os.getuid() == 0 else {}
        # The server's output must go to a file: it would keep a pipe open for as long as it runs.
        with (place / "output").open("w+") as output:
            options = {"cwd": place, "env": {"PATH": "/usr/bin:/bin"}, "stdout": output, "stderr": output}
            done = subprocess.run(line, check=False, timeout=120, **options, **other)  # type: ignore[call-overload]
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, f"{name}: {said}"

    try:
        call("initdb", "--auth=trust", "--username=tester", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={place} -c fsync=off -c shared_buffers=16MB"
        call("pg_ctl", "start", "--wait", "-l", str(place / "log"), "-o", options)
        try:
            yield f"postgresql://tester@/postgres?host={place}"
        finally:
            call("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(address: str) -> Iterator[str]:
    """The address of an empty database on a server, which is dropped in the end."""
    name = f"lungassist_{uuid.uuid4().hex}"
    url = make_url(address).set(drivername="postgresql")
    plain = url.render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

"""A PostgreSQL cluster of the tests' own: real, on disk, and ours to kill."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil
import psycopg
import pytest

_UNPRIVILEGED: Final = "nobody"
# Names a socket in a directory of the cluster's own, so that any number is free.
_PORT: Final = 5432
# A process that can start no other.
_STANDING: Final = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
# A machine that tests on all cores takes its time.
_STARTING_S: Final = 60.0


def programs() -> Path | None:
    """The directory with initdb and postgres, of the newest version; None when there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return installed[-1].parent if installed else None


class Cluster:
    """One server; starts and stops as often as a test wants, and keeps what was committed.

    Parameters
    ----------
    directory
        To be made by it; when we are root it goes to an unprivileged user, as PostgreSQL refuses to run as root.
    """

    def __init__(self, directory: Path) -> None:
        found = programs()
        assert found is not None, "no PostgreSQL"
        self._programs = found
        self._directory = directory
        self._server: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        directory.mkdir(mode=0o700)
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(directory, entry.pw_uid, entry.pw_gid)
        manner = ["-U", "locsvc", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb = [str(found / "initdb"), "-D", str(self._data), *manner]
        subprocess.run(initdb, check=True, capture_output=True, user=self._user, cwd="/")

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def url(self, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://locsvc@/{database}?host={quote(str(self._directory))}&port={_PORT}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Start the server and wait until it answers; after a kill it recovers first."""
        # Many connections, as one test opens many journals; no TCP.
        settings = ["-c", "listen_addresses=", "-c", "max_connections=200"]
        where = ["-D", str(self._data), "-k", str(self._directory), "-p", str(_PORT)]
        with (self._directory / "log").open("ab") as log:
            server = [str(self._programs / "postgres"), *where, *settings]
            self._server = subprocess.Popen(server, stdout=log, stderr=log, user=self._user, cwd="/")
        until = time.monotonic() + _STARTING_S
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > until:
                    pytest.fail((self._directory / "log").read_text(errors="replace")[-2000:])
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server at once, as an administrator does: what is under way is rolled back, clients are cut off."""
        if self._server is not None:
            # "Fast shutdown".
            self._server.send_signal(2)
            self._server.wait(_STARTING_S)
            self._server = None

    def kill(self) -> None:
        """Kill all of its processes."""
        if self._server is None:
            return
        # It must not start another in between: that one would outlive it and hold what the next server needs.
        self._server.send_signal(signal.SIGSTOP)
        until = time.monotonic() + _STARTING_S
        while psutil.Process(self._server.pid).status() not in _STANDING and time.monotonic() < until:
            time.sleep(0.001)
        every = [psutil.Process(self._server.pid), *psutil.Process(self._server.pid).children(recursive=True)]
        for process in every:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.wait(_STARTING_S)
        psutil.wait_procs(every, _STARTING_S)
        self._server = None

    def log(self) -> str:
        """What the server has said."""
        return (self._directory / "log").read_text(errors="replace")


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster that runs; it is stopped and deleted at the end."""
    # Not pytest's directory: only we may enter that, and its path is too long for a socket.
    parent = Path(tempfile.mkdtemp(prefix="locsvc-pg-"))
    parent.chmod(0o711)
    try:
        cluster = Cluster(parent / "c")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(parent)


def need() -> None:
    """Nothing, when there is a PostgreSQL; else the test is skipped, but never in CI."""
    if programs() is None:
        why = "no PostgreSQL: `apt-get install postgresql`, which scripts/test does where it may"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The cluster of this test session: whoever stops or kills it starts it again."""
    need()
    with running() as cluster:
        yield cluster

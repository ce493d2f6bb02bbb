"""Settings of the server."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from locsvc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LogFormat = Literal["json", "console"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything that `serve` can be told; `checked` refuses what must not run.

    Parameters
    ----------
    data
        Data directory; None or a directory without a snapshot serves without reference data, with a warning.
    host, port
        Address to listen on; port 0 takes a free one.
    workers
        Processes on the port, 1 to 64; connections are shared out among them by the kernel.
    resolver_process
        Resolve in a process beside each worker; None: where the machine has two cores for each.
    certificate, private_key
        PEM files for TLS, both or none.
    client_authority
        PEM file of the authority whose client certificates are demanded (mutual TLS).
    insecure
        Allow an address other than loopback without TLS.
    require_data
        Refuse to start without a published snapshot.
    reflection
        Answer reflection requests; None: on loopback only.
    max_message_bytes
        Largest request accepted; 4 MiB holds a batch of 1,000 calls with up to 4 kB each.
    max_waiting
        ResolveLocation requests in the server at a time; more are shed with RESOURCE_EXHAUSTED.
    max_waiting_batch_calls
        Calls of batches in the server at a time; more are shed. At least 1,000.
    fuse_at_most
        Calls that are resolved as one array.
    drain_s
        Time between NOT_SERVING and the end of listening, so that balancers turn away.
    grace_s
        Time that requests under way are given after that.
    follow_s
        Time between two looks at the data directory for a new snapshot.
    log_format
        Logs on stderr as JSON lines or for a person.
    journal
        File or URL (`sqlite:///...`, `postgresql://...`) of the journal of live calls; None: no CallService.
    keep_days
        Days that ended calls stay in the journal; None keeps all.
    deadline_s
        Time from the start of a call to the revision that says what is the best known.
    fit_radius_m
        Widest radius that is fit to dispatch, where a client names none.
    match_window_s
        Evidence that names only the number belongs to a call that started so long before or after it.
    arrivals
        File of arrival times (TOML); None takes the shipped ones.
    """

    data: Path | None = None
    host: str = "127.0.0.1"
    port: int = 50051
    workers: int = 1
    resolver_process: bool | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    client_authority: Path | None = None
    insecure: bool = False
    require_data: bool = False
    reflection: bool | None = None
    max_message_bytes: int = 4 * 1024 * 1024
    max_waiting: int = 1_000
    max_waiting_batch_calls: int = 10_000
    fuse_at_most: int = 64
    drain_s: float = 1.0
    grace_s: float = 10.0
    follow_s: float = 0.5
    log_format: LogFormat = "json"
    journal: str | None = None
    keep_days: float | None = None
    deadline_s: float = 20.0
    fit_radius_m: float = 50.0
    match_window_s: float = 300.0
    arrivals: Path | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)

    @property
    def resolves_beside(self) -> bool:
        """Whether each worker has a process beside it that resolves."""
        return cores() >= 2 * self.workers if self.resolver_process is None else self.resolver_process

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.certificate is not None

    @property
    def reflects(self) -> bool:
        """Whether reflection requests are answered."""
        return self.loopback if self.reflection is None else self.reflection

    def checked(self) -> ServerSettings:
        """These settings, when they may run.

        Raises
        ------
        ConfigError
            When a number is out of range, TLS is given in part, or an open address has neither TLS nor `insecure`.
        """
        for name, low, high in _RANGES:
            if getattr(self, name) is not None and not low <= getattr(self, name) <= high:
                msg = f"{name} must be from {low} to {high}, not {getattr(self, name)}"
                raise ConfigError(msg)
        if (self.certificate is None) != (self.private_key is None):
            msg = "TLS needs both the certificate and the private key; give both files or none"
            raise ConfigError(msg)
        if self.client_authority is not None and not self.tls:
            msg = "a client authority (mutual TLS) needs a certificate and a private key too; give all three files"
            raise ConfigError(msg)
        if not (self.loopback or self.tls or self.insecure):
            msg = (
                f"{self.host} can be reached by other machines and there is no TLS: "
                "give a certificate and a private key, listen on 127.0.0.1, or allow it with --insecure"
            )
            raise ConfigError(msg)
        return self


_RANGES = (
    ("port", 0, 65_535),
    ("workers", 1, 64),
    ("max_message_bytes", 1_024, 256 * 1024 * 1024),
    ("max_waiting", 1, 1_000_000),
    ("max_waiting_batch_calls", 1_000, 10_000_000),
    ("fuse_at_most", 1, 1_000),
    ("drain_s", 0.0, 3_600.0),
    ("grace_s", 0.0, 3_600.0),
    ("follow_s", 0.01, 3_600.0),
    ("keep_days", 0.0, 36_500.0),
    ("deadline_s", 1.0, 3_600.0),
    ("fit_radius_m", 1.0, 100_000.0),
    ("match_window_s", 1.0, 86_400.0),
)


def cores() -> int:
    """Processors that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def is_loopback(host: str) -> bool:
    """Whether `host` can be reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_pem(path: Path) -> bytes:
    """The bytes of a key or certificate file.

    Raises
    ------
    ConfigError
        When it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); give a PEM file that this user may read"
        ) from error

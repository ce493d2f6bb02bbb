"""Fuzzes the readers of messages by coverage (atheris): whatever comes, a Reading or `Unreadable`, and soon.

    scripts/fuzz FORMAT|all [--seconds N] [--keep FOLDER]

Starts from the vectors beside the project, where they are, and from small messages of its own. An input counts as
found when its reader raises anything but `Unreadable`, gives evidence that the contract refuses (it would be lost to
the call), takes more than 50 ms of processor time or more than 64 MB. What is found is kept as one file each in
tests/formats/findings, where a test reads all of them. The fuzzer runs slowed down by its counting of branches; what it
calls slow is measured again without.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from locsvc.formats.call_checks import evidence_violations  # noqa: E402 - the project is not installed where this runs
from locsvc.formats.messages import FORMATS  # noqa: E402 - the project is not installed where this runs
from locsvc.formats.reading import Unreadable  # noqa: E402

FINDINGS = REPOSITORY / "tests" / "formats" / "findings"
VECTORS = REPOSITORY.parent / "shared" / "standards" / "vectors"
ARRIVED_AT = 1_773_489_600.0
MOST_BYTES = 65_536
MOST_CPU_S = 0.05
MOST_MEMORY_KIB = 65_536
_UNITS = tuple(b'9 A < <a> &amp; ( [ { " ; = , : + - 0. \\ / % & --x \xff \x00 <a'.split(b" "))
_UNITS += (b" ", b"\r\n", b"\t", b'{"a":', b"<!--", "\u0661".encode(), b' a="1"')
MOST_SWOLLEN_SEEDS = 12
# Of one kind, by exception and line or by slowness, so many are kept.
MOST_SLOW = 20

_SIP = (
    b"INVITE sip:112@example.invalid SIP/2.0\r\nGeolocation: <cid:a@b>\r\nContent-Type: multipart/mixed; boundary=x\r\n"
    b"\r\n--x\r\nContent-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n"
    b'<presence xmlns="urn:ietf:params:xml:ns:pidf"/>\r\n--x--\r\n'
)
# Format -> files of vectors, patterns of XML files, and messages of our own.
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[bytes, ...]]] = {
    "aml": (
        ("aml.json",),
        (),
        (
            b'A"ML=1;lt=+55.00000;lg=+2.50000;rd=30;top=20260314120000;lc=90;pm=G;si=001011234567890;ei=;mcc=001;mnc=01;ml=128',
        ),
    ),
    "pidf-lo": ((), ("rfc-xml/*.xml", "held-xml/*.xml"), (b"<presence/>",)),
    "held": (
        ("held.json",),
        ("held-xml/*.xml", "rfc-xml/rfc5985*.xml", "rfc-xml/rfc6155*.xml"),
        (b'<locationRequest xmlns="urn:ietf:params:xml:ns:geopriv:held" responseTime="8000"/>',),
    ),
    "sip": ((), (), (_SIP,)),
    "gad": (
        ("gad.json",),
        (),
        (b"\x10\x4e\x38\xe3\x01\xc7\x1c\x14", b'{"shape":"POINT","point":{"lat":55,"lon":2.5}}'),
    ),
    "ali": (("ali.json",), (), (b"1632 960123 01/01 12:00\r\n",)),
    "mlp": (("mlp.json",), (), (b"<svc_result><slia/></svc_result>",)),
    "access-network": (
        (),
        (),
        (
            b"3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100010019B01",
            b"P-Access-Network-Info: 3GPP-NR;utran-cell-id-3gpp=001010000010000000101;network-provided",
            b"3GPP-GERAN;cgi-3gpp=00101006512ab",
        ),
    ),
    "rfc7105": ((), ("rfc-xml/rfc7105*.xml",), (b'<measurements xmlns="urn:ietf:params:xml:ns:geopriv:lm"/>',)),
}


def texts_in(value: object) -> Iterator[bytes]:
    """Every text inside a row's input."""
    if isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        yield json.dumps(value).encode()
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def seeds_of(name: str) -> Iterator[bytes]:
    """The messages that a format's fuzzing starts from."""
    files, patterns, own = SOURCES[name]
    yield from own
    for file in files:
        path = VECTORS / file
        for row in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
            yield from texts_in(row.get("input"))
            if "input_hex" in row:
                yield bytes.fromhex(row["input_hex"])
                yield row["input_hex"].encode()
    for pattern in patterns:
        for path in sorted(VECTORS.glob(pattern)):
            yield path.read_bytes()
    if name == "sip":
        for path in sorted(VECTORS.glob("rfc-xml/*presence.xml")):
            yield own[0].replace(b'<presence xmlns="urn:ietf:params:xml:ns:pidf"/>', path.read_bytes())
    if FINDINGS.is_dir():
        yield from (path.read_bytes() for path in sorted(FINDINGS.glob(f"{name}-*")))


def swollen(seed: bytes) -> Iterator[bytes]:
    """The message with a long run of something put in: what makes a parser slow is mostly a repetition."""
    for unit in (*_UNITS, seed[: len(seed) // 3] or b"x"):
        run = unit * ((MOST_BYTES - min(len(seed), MOST_BYTES // 2) - 1) // len(unit))
        for part in range(5):
            at = len(seed) * part // 4
            yield (seed[:at] + run + seed[at:])[:MOST_BYTES]
            # The other half, as text or as bytes.
            yield (seed[:at] + run + seed[at:])[: MOST_BYTES - 1]


def as_sent(data: bytes) -> bytes | str:
    """The message of an input: text for one half of them, for readers take both."""
    return data if len(data) % 2 else data.decode("utf-8", "replace")


class Watch:
    """One parser under watch; what breaks it is kept as a file at once."""

    def __init__(self, name: str, read: Callable[..., object], keep: Path) -> None:
        self.name, self.read, self.keep = name, read, keep
        self.seen: set[str] = set()
        self.slow = 0
        self.peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def __call__(self, data: bytes) -> None:
        """Reads one input."""
        message = as_sent(data)
        started = time.process_time()
        try:
            reading = self.read(message, arrived_at=ARRIVED_AT)
            for piece in getattr(reading, "evidence", ()):
                wrong = evidence_violations(piece)
                if wrong:
                    fields = re.sub(r"\d+", "n", wrong[0].field)
                    self._found(data, f"refused {fields}", wrong[0].description)
        except Unreadable:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever else it is, it is a finding
            self._found(data, kind_of(error), "".join(traceback.format_exception(error)[-4:]))
        taken = time.process_time() - started
        if taken > MOST_CPU_S and self.slow < MOST_SLOW:
            self.slow += 1
            self._found(data, f"slow {self.slow}", f"{1000 * taken:.0f} ms with branches counted")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if peak - self.peak_kib > MOST_MEMORY_KIB:
            self._found(data, f"memory {peak >> 16}", f"{(peak - self.peak_kib) >> 10} MB more")
        self.peak_kib = max(self.peak_kib, peak)

    def _found(self, data: bytes, kind: str, words: str) -> None:
        if kind in self.seen:
            return
        self.seen.add(kind)
        path = self.keep / f"{self.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        print(f"found {path.name} ({len(data)} bytes): {kind}\n{words}", file=sys.stderr, flush=True)


def kind_of(error: BaseException) -> str:
    """The exception and the line of ours that it came from."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "locsvc" in f.filename]
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else type(error).__name__


def reader_of(name: str) -> Callable[..., object]:
    """The reader of a format, imported now."""
    from locsvc.formats import messages

    return messages.reader_of(name)


def fuzz_here(name: str, seconds: int, keep: Path) -> None:
    """Fuzzes one format in this process, and ends it."""
    atheris: Any = importlib.import_module("atheris")
    for loaded in [
        m for m in sys.modules if m.startswith("locsvc.formats.") and not m.endswith((".messages", ".reading"))
    ]:
        del sys.modules[loaded]
    with atheris.instrument_imports(include=["locsvc.formats", "locsvc.uncertainty"], enable_loader_override=False):
        read = reader_of(name)
    watch = Watch(name, read, keep)
    # The fuzzer's own limit counts the clock on the wall, on which a busy machine stands still: it is for hangs alone.
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for i, seed in enumerate(seeds_of(name)):
            (Path(folder) / f"seed-{i}").write_bytes(seed[:MOST_BYTES])
            # The other half, as text or as bytes.
            (Path(folder) / f"seed-{i}-other").write_bytes(seed[: MOST_BYTES - 1] + b" ")
        flags = [
            f"-max_total_time={seconds}",
            f"-max_len={MOST_BYTES}",
            "-timeout=600",
            "-rss_limit_mb=2048",
            "-verbosity=1",
        ]
        atheris.Setup([sys.argv[0], *flags, folder], watch)
        atheris.Fuzz()


def still_breaks(name: str, data: bytes) -> str:
    """What is wrong with an input, measured without counting branches; empty when nothing is.

    Time and memory are the least of three runs: a busy machine is no finding.
    """
    program = (
        "import sys, time, tracemalloc; sys.path.insert(0, sys.argv[2]); import fuzz_formats as f\n"
        "read, m = f.reader_of(sys.argv[1]), f.as_sent(sys.stdin.buffer.read())\n"
        "def once():\n"
        "    t = time.process_time()\n"
        "    try:\n"
        "        for e in read(m, arrived_at=f.ARRIVED_AT).evidence: assert not f.evidence_violations(e), 'refused'\n"
        "    except f.Unreadable: pass\n"
        "    return time.process_time() - t\n"
        "once(); cpu = min(once() for _ in range(3)); tracemalloc.start(); once()\n"
        "print(cpu, tracemalloc.get_traced_memory()[1])\n"
    )
    run = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", program, name, str(REPOSITORY / "scripts")],
        input=data,
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        timeout=120,
    )
    if run.returncode:
        return run.stderr.decode(errors="replace").strip().splitlines()[-1]
    cpu_s, memory = (float(word) for word in run.stdout.split())
    if cpu_s > MOST_CPU_S:
        return f"{1000 * cpu_s:.0f} ms"
    return f"{memory / 2**20:.0f} MB" if memory > MOST_MEMORY_KIB * 1024 else ""


def fuzz(name: str, seconds: int, kept: Path) -> int:
    """Fuzzes one format in a process of its own; how many findings are real."""
    print(f"{name}: {seconds} s from {sum(1 for _ in seeds_of(name))} messages", flush=True)
    with tempfile.TemporaryDirectory(prefix="found-") as folder:
        run = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, __file__, name, "--seconds", str(seconds), "--keep", folder, "--here"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            check=False,
            cwd=folder,
        )
        told = run.stderr.decode(errors="replace")
        watch = Watch(name, reader_of(name), Path(folder))
        for seed in list(seeds_of(name))[:: max(1, sum(1 for _ in seeds_of(name)) // MOST_SWOLLEN_SEEDS)]:
            for data in swollen(seed):
                watch(data)
        done = re.findall(r"Done (\d+) runs in (\d+) second", told)
        print(f"{name}: {done[-1][0]} inputs in {done[-1][1]} s" if done else f"{name}: ended early\n{told[-2000:]}")
        real = 0
        for path in sorted(Path(folder).iterdir()):
            data = path.read_bytes()
            wrong = still_breaks(name, data)
            if wrong:
                real += 1
                kept.mkdir(parents=True, exist_ok=True)
                (kept / (path.name if path.name.startswith(name) else f"{name}-{path.name}")).write_bytes(data)
                print(f"{name}: {path.name}, {len(data)} bytes: {wrong}")
                print("\n".join(re.findall(rf"found {re.escape(path.name)}.*\n(?:.*\n){{0,12}}", told)[:1]))
        return real if done else real + 1


def main() -> int:
    """Fuzzes what the arguments name; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Throws mutated messages at the parsers.")
    parser.add_argument("format", choices=[*FORMATS, "all"])
    parser.add_argument("--seconds", type=int, default=600, help="for each format (default 600)")
    parser.add_argument("--keep", type=Path, default=FINDINGS, help="folder of what is found")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        os.nice(10)
        fuzz_here(given.format, given.seconds, given.keep)
        return 0
    names = list(FORMATS) if given.format == "all" else [given.format]
    return min(1, sum(fuzz(name, given.seconds, given.keep.resolve()) for name in names))


if __name__ == "__main__":
    sys.exit(main())

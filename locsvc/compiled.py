"""Kernels: functions that numba compiles to machine code, and where that code is kept.

The core goes through each call by itself, cell by cell: in numpy that is thousands of small array calls, compiled it is
a loop. A kernel takes arrays and numbers, lets go of the interpreter's lock and is the same for a call alone and for a
million. Strict arithmetic (no `fastmath`): sums run in the order in which they are written, so that equal input gives
equal bits.

The machine code is kept beside the source (or in the user's cache directory, where the source may not be written to),
under a name that hangs on the text of all kernels: a change of any of them compiles all of them anew. Machine code that
came with the installation, as in an image, is used where it may not be written to; neither folders nor times of files
are in its names, so that a copy works with what was copied along.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import caching, config
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])
Given = TypeVar("Given")

_HERE = Path(__file__).resolve().parent
_PREFIX = "kernels-"
_LOCK = "lock"
# numba's setting of where machine code goes, read where a kernel is made.
_CACHE_DIR = "CACHE_DIR"


def _fingerprint() -> str:
    """A name for the text of all modules that hold kernels, and of the core's others, whose constants are in them."""
    digest = hashlib.sha256(numba.__version__.encode())
    rooms = [
        *_HERE.glob("*.py"),
        *(p for room in ("fusion", "reference", "resolver") for p in _HERE.glob(f"{room}/**/*.py")),
    ]
    for source in sorted(rooms):
        text = source.read_bytes()
        if source.parent in {_HERE, _HERE / "fusion"} or b"locsvc.compiled" in text:
            digest.update(text)
    return digest.hexdigest()[:16]


@functools.cache
def _mark() -> str:
    """Name of the file that says that all kernels are there, for this processor and this version of Python."""
    processor = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    runs_on = f"{sys.implementation.cache_tag} {processor}"
    return "complete-" + hashlib.sha256(runs_on.encode()).hexdigest()[:16]


@functools.cache
def kernel_directory() -> Path:
    """Where machine code is kept: beside the source if all is there, else the first place that can be written to."""
    name = _PREFIX + _fingerprint()
    installed = _HERE / "__pycache__" / name
    # Whoever wrote the source may have written what was made of it.
    if (installed / _mark()).exists() and installed.stat().st_uid == Path(__file__).stat().st_uid:
        return installed
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for place in (_HERE / "__pycache__", caches / "locsvc", Path(tempfile.gettempdir()) / f"locsvc-{os.getuid()}"):
        directory = place / name
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        # What lies there is run: it must be our own.
        if os.access(directory, os.W_OK) and directory.stat().st_uid == os.getuid():
            for old in place.glob(_PREFIX + "*"):
                if old != directory:
                    shutil.rmtree(old, ignore_errors=True)
            return directory
    return Path(tempfile.mkdtemp(prefix="locsvc-"))


def are_kept() -> bool:
    """Whether all kernels are there as machine code: if not, the first call waits for the compiler, a minute or two."""
    return (kernel_directory() / _mark()).exists()


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """While all kernels are called for the first time: other processes wait here, and find them compiled."""
    if are_kept():
        yield
        return
    with _lock() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        # Whoever runs another version may have removed the directory meanwhile: what lies there now is not all.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), (kernel_directory() / _LOCK).stat()):
                (kernel_directory() / _mark()).touch()


def _lock() -> IO[str]:
    """The file that is locked while kernels are compiled; its directory is made anew when it was removed."""
    while True:
        kernel_directory().mkdir(parents=True, exist_ok=True)
        # Between the two another version may remove it again, each at most once at its start.
        with contextlib.suppress(FileNotFoundError):
            return (kernel_directory() / _LOCK).open("w")


@functools.cache
def _stamp(source: str) -> str:
    """What tells a file's text from all others; as for the fingerprint, when it was written does not count."""
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


class _Place(caching.UserProvidedCacheLocator):
    """The place of a kernel's machine code, which need not be writable; where its source lies has no part in it."""

    def __init__(self, function: Any, source: str) -> None:  # noqa: ANN401 - numba's own types
        super().__init__(function, source)  # type: ignore[no-untyped-call]
        self._source = source
        self._cache_path = str(Path(getattr(config, _CACHE_DIR)) / function.__module__)

    def get_source_stamp(self) -> str:
        """What kept machine code must have been made of: numba's own has the file's times, in some of its versions."""
        return _stamp(self._source)

    def ensure_cache_path(self) -> None:
        """Make the directory, if that may be done."""
        with contextlib.suppress(OSError):
            Path(self._cache_path).mkdir(parents=True, exist_ok=True)


class _Form(caching.CompileResultCacheImpl):
    """Machine code as numba writes it, at our place."""

    _locator_classes = [_Place]  # noqa: RUF012 - as in the class above it


class _Kept(caching.FunctionCache):
    """Machine code on disk; what cannot be read or written is compiled for this process alone."""

    _impl_class = _Form

    def load_overload(self, signature: Any, context: Any) -> Any:  # noqa: ANN401 - numba's own types
        """What is kept, None if nothing is."""
        with contextlib.suppress(OSError):
            return super().load_overload(signature, context)  # type: ignore[no-untyped-call]
        return None

    def save_overload(self, signature: Any, result: Any) -> None:  # noqa: ANN401 - numba's own types
        """Keep what was compiled, if that may be done."""
        with contextlib.suppress(OSError):
            super().save_overload(signature, result)  # type: ignore[no-untyped-call]


def compiled(function: Function) -> Function:
    """The function as a kernel: compiled when it is first called, then kept on disk."""
    kernel: Any = numba.njit(nogil=True, error_model="numpy")(function)
    before = getattr(config, _CACHE_DIR)
    setattr(config, _CACHE_DIR, str(kernel_directory()))
    try:
        kernel._cache = cast("Any", _Kept)(function)  # noqa: SLF001 - what `cache=True` sets, with our place
    finally:
        setattr(config, _CACHE_DIR, before)
    _take_constants_as_numbers(kernel)
    return cast("Function", kernel)


def _take_constants_as_numbers(kernel: Any) -> None:  # noqa: ANN401 - numba's own types
    """Have calls with a constant served by the machine code for any number.

    Left alone, numba compiles a kernel once more for each whole number that a caller writes down or starts from, with
    all that it calls: twice the compiling and twice the code to load.
    """
    template_for = kernel.get_call_template

    def of_numbers(arguments: Any, named: Any) -> Any:  # noqa: ANN401
        plain: Any = numba.types.unliteral
        return template_for(tuple(map(plain, arguments)), {name: plain(kind) for name, kind in named.items()})

    kernel.get_call_template = of_numbers


def inlined(function: Function) -> Function:
    """The function as a part of the kernels that call it."""
    part: Any = numba.njit(inline="always", error_model="numpy")(function)
    return cast("Function", part)


def _reinterpret_int(_context: Any, _bits: Any) -> Any:  # noqa: ANN401 - numba's own types
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.FloatType())

    return numba.types.float32(numba.types.int32), generate


def _reinterpret_float(_context: Any, _value: Any) -> Any:  # noqa: ANN401
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.IntType(32))

    return numba.types.int32(numba.types.float32), generate


# The float32 that has some bits, and the bits of a float32: of positive floats they are in the order of the floats.
float_of_bits: Callable[[np.int32], np.float32] = cast("Any", intrinsic(_reinterpret_int))
bits_of_float: Callable[[np.float32], np.int32] = cast("Any", intrinsic(_reinterpret_float))


def _lend(_context: Any, value: Any) -> Any:  # noqa: ANN401 - numba's own types
    def without_owner(context: Any, builder: Any, kind: Any, struct: Any) -> Any:  # noqa: ANN401
        if isinstance(kind, numba.types.Array):
            array = context.make_array(kind)(context, builder, struct)
            for owner in ("meminfo", "parent"):
                setattr(array, owner, ir.Constant(getattr(array, owner).type, None))
            return array._getvalue()  # noqa: SLF001 - the library's form
        if isinstance(kind, numba.types.BaseTuple):
            for i, part in enumerate(cast("Any", kind).types):
                lent = without_owner(context, builder, part, builder.extract_value(struct, i))
                struct = builder.insert_value(struct, lent, i)
        return struct

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return without_owner(context, builder, signature.args[0], arguments[0])

    return value(value), generate


# An array, or a tuple with arrays, whose references are not counted: a quarter of the time of kernels that go through
# many small loops. For what a kernel was called with, which outlives it; such an array must not be given back.
lent: Callable[[Given], Given] = cast("Any", intrinsic(_lend))


def _sort_key(value: np.float32, number: int) -> np.uint64:
    return (np.uint64(bits_of_float(value)) << np.uint64(32)) | np.uint64(number)


def _number_of_key(key: np.uint64) -> int:
    return np.int64(key & np.uint64(0xFFFFFFFF))  # type: ignore[return-value]  # the same to the interpreter


# A key that sorts like a float32 of 0 or more and carries a number below 2^32, so that no two are equal; its number.
sort_key = inlined(_sort_key)
number_of_key = inlined(_number_of_key)


_F = np.float32
_LOG2_E = _F(1.4426950408889634)
# ln 2 in two parts, the first exact in few bits: x - k ln 2 loses nothing (Cody and Waite 1980).
_LN2_HIGH, _LN2_LOW = _F(0.693359375), _F(-2.12194440e-4)
# 1.5 * 2^23: adding it rounds a float32 to a whole number, which then stands in the low bits.
_ROUNDER, _ROUNDER_BITS = _F(12582912.0), np.int32(0x4B400000)
_LEAST_EXPONENT, _MOST_EXPONENT = _F(-87.0), _F(88.0)


@inlined
def exp32(x: np.float32) -> np.float32:
    """e^x of a float32, to 8e-8 of itself; below -87 as at -87.

    Without branches and library calls, so that loops over arrays become vector code: 0.25 ns a value. The polynomials
    are those of the Cephes library (expf, logf).
    """
    x = max(min(x, _MOST_EXPONENT), _LEAST_EXPONENT)
    shifted = x * _LOG2_E + _ROUNDER
    power = bits_of_float(shifted) - _ROUNDER_BITS
    whole = shifted - _ROUNDER
    r = x - whole * _LN2_HIGH
    r = r - whole * _LN2_LOW
    y = _F(1.9875691500e-4)
    y = y * r + _F(1.3981999507e-3)
    y = y * r + _F(8.3334519073e-3)
    y = y * r + _F(4.1665795894e-2)
    y = y * r + _F(1.6666665459e-1)
    y = y * r + _F(5.0000001201e-1)
    y = y * (r * r) + r + _F(1.0)
    return y * float_of_bits(np.int32((power + np.int32(127)) << np.int32(23)))


@inlined
def log32(x: np.float32) -> np.float32:
    """Natural logarithm of a normal positive float32, to 1e-7."""
    bits = bits_of_float(x)
    # Exponent and mantissa from sqrt(1/2) to sqrt(2): 0x3f3504f3 is sqrt(1/2).
    power = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
    mantissa = float_of_bits(np.int32(bits - np.int32(power << np.int32(23))))
    whole = _F(power)
    r = mantissa - _F(1.0)
    square = r * r
    y = _F(7.0376836292e-2)
    y = y * r + _F(-1.1514610310e-1)
    y = y * r + _F(1.1676998740e-1)
    y = y * r + _F(-1.2420140846e-1)
    y = y * r + _F(1.4249322787e-1)
    y = y * r + _F(-1.6668057665e-1)
    y = y * r + _F(2.0000714765e-1)
    y = y * r + _F(-2.4999993993e-1)
    y = y * r + _F(3.3333331174e-1)
    y = y * r * square
    y = y + whole * _LN2_LOW
    y = y - _F(0.5) * square
    return r + y + whole * _LN2_HIGH


@inlined
def angle32(across: np.float32, along: np.float32) -> np.float32:
    """Angle, 0 to pi radians, to 2e-5, of a direction with `across` 0 or more."""
    size = abs(along)
    high, low = max(across, size), min(across, size)
    t = low / max(high, _F(1e-30))
    s = t * t
    # Minimax polynomial of arctan on 0 to 1 (Abramowitz and Stegun 4.4.49, refined): 1e-5.
    y = _F(-0.01172120)
    y = y * s + _F(0.05265332)
    y = y * s + _F(-0.11643287)
    y = y * s + _F(0.19354346)
    y = y * s + _F(-0.33262347)
    y = y * s + _F(0.99997726)
    y = y * t
    if across > size:
        y = _F(1.5707964) - y
    if along < _F(0.0):
        y = _F(3.1415927) - y
    return y

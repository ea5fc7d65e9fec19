"""Compiles functions of plain source to machine code, unchanged, and keeps the result on disk.

What is compiled is written as one file of its own: the functions given, all that they call, leaf first, and the whole
numbers that they name. The folder is named by a hash of that text and of the versions that matter, so an edit anywhere
in it, also in a callee or a constant, is a new folder; the compiler's own cache inside it sees only the caller. Nothing
is compiled before its first call. Importing this file loads no compiler.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ampacity.base.files import write_whole

HEADER = '''"""Written by ampacity.base.compiled from plain sources; do not edit, delete the folder to start anew."""
from __future__ import annotations
from numba import njit
'''
# without reference counts, which cost more than a decision: a kernel writes into the rows that it is given and
# allocates no array (one that does is an error of the compiler)
JIT = "@njit(cache=True, nogil=True, _nrt=False)"
JIT_INLINED = "@njit(cache=True, nogil=True, _nrt=False, forceinline=True)"
BUILTINS = {"range", "abs", "min", "max", "len", "int", "bool", "float", "divmod", "round"}


class KernelError(ValueError):
    """Sources that cannot be compiled as they stand; lists every mistake."""


def compiled(*functions: Callable[..., Any], folder: Path | None = None, inlined: bool = False) -> ModuleType:
    """A module that holds `functions`, and all that they call, compiled under their own names.

    Parameters
    ----------
    functions : plain functions
        They and their callees may name each other, whole and floating numbers, and nothing else of their modules. They
        write into the arrays that they are given and allocate none.
    folder : Path, optional
        Where machine code is kept; by default `cache_folder()`.
    inlined : bool, optional
        Whether every callee becomes a part of its caller. Each array that a call passes on is seven words to copy, so
        short functions of many arrays run several times as fast; a large kernel would take minutes to compile.

    Raises
    ------
    KernelError
        If a function names something else, if two share a name or a constant has two values, or if they call in a
        circle; every mistake at once.
    """
    text = kernel_text(functions, inlined=inlined)
    name = _name(text)
    if name in sys.modules:
        return sys.modules[name]
    path = _written(folder or cache_folder(), name, text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def is_compiled(*functions: Callable[..., Any], folder: Path | None = None, inlined: bool = False) -> bool:
    """Whether machine code of these functions, as they stand, is kept from an earlier call; else that takes seconds."""
    kept = (folder or cache_folder()) / "kernels" / _name(kernel_text(functions, inlined=inlined)) / "__pycache__"
    return all(any(kept.glob(f"kernel.{function.__name__}-*.nbc")) for function in functions)


def cache_folder() -> Path:
    """Where machine code is kept: AMPACITY_CACHE, or `ampacity` in the user's cache folder."""
    if named := os.environ.get("AMPACITY_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ampacity"


def kernel_text(functions: tuple[Callable[..., Any], ...], *, inlined: bool = False) -> str:
    """The file that is compiled: constants, then functions, each below all that it calls."""
    ordered: dict[str, FunctionType] = {}
    constants: dict[str, int | float] = {}
    mistakes: list[str] = []
    for function in functions:
        _collect(function, (), ordered, constants, mistakes)
    mistakes += [f"{name} is both a function and a constant" for name in ordered.keys() & constants.keys()]
    if mistakes:
        raise KernelError("\n".join(dict.fromkeys(mistakes)))
    lines = [f"{name} = {value!r}" for name, value in sorted(constants.items())]
    jit = JIT_INLINED if inlined else JIT
    bodies = [jit + "\n" + _source(function) for function in ordered.values()]
    return HEADER + "\n".join(lines) + "\n\n\n" + "\n\n".join(bodies)


def _collect(
    function: Callable[..., Any],
    callers: tuple[str, ...],
    ordered: dict[str, FunctionType],
    constants: dict[str, int | float],
    mistakes: list[str],
) -> None:
    """Put a function behind its callees in `ordered`, and the numbers that it names into `constants`."""
    if not isinstance(function, FunctionType):
        mistakes.append(f"{function!r} is no plain function")
        return
    name = function.__name__
    if name in callers:
        mistakes.append(f"{' calls '.join((*callers, name))}: a circle has no leaf")
        return
    if name in ordered:
        if ordered[name].__code__ is not function.__code__:
            mistakes.append(f"two functions are named {name}: in {ordered[name].__module__} and {function.__module__}")
        return
    for used in _globals_named(function.__code__):
        value = function.__globals__.get(used)
        if isinstance(value, FunctionType):
            if value.__name__ != used:
                mistakes.append(f"{name} calls {value.__name__} by another name, {used}")
            else:
                _collect(value, (*callers, name), ordered, constants, mistakes)
        elif isinstance(value, (int, float)):
            if constants.setdefault(used, value) != value:
                mistakes.append(f"{used} has two values: {constants[used]} and {value}")
        elif not (value is None and used in BUILTINS):
            mistakes.append(f"{name} names {used}, which is neither a plain function nor a number")
    ordered.setdefault(name, function)


@cache
def _globals_named(code: CodeType) -> list[str]:
    """Names that a function looks up outside itself, in the order of its text."""
    import dis  # the one use; 5 ms

    return list(dict.fromkeys(str(i.argval) for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"))


@cache
def _source(function: FunctionType) -> str:
    """The text of a function, looked up once: many kernels share their callees, and finding the end of one is slow."""
    return textwrap.dedent(inspect.getsource(function))


def _name(text: str) -> str:
    return "ampacity_kernel_" + hashlib.sha256((text + _versions()).encode()).hexdigest()[:20]


def _versions() -> str:
    return " ".join([sys.version, *(version(name) for name in ("numba", "llvmlite", "numpy"))])


def _written(folder: Path, name: str, text: str) -> Path:
    """The file in its own folder, written once, so that its date never changes; elsewhere if the cache is read-only."""
    path = folder / "kernels" / name / "kernel.py"
    if path.exists() and path.read_text() == text:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="ampacity-")) / "kernel.py"
        path.write_text(text)
    return path

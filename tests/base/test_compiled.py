"""Plain sources compiled unchanged: every edit is seen, nothing is compiled twice, and nobody pays who does not ask."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ampacity.base.compiled import KernelError, cache_folder, compiled, is_compiled, kernel_text

LEAF = "STEP = {step}\n\n\ndef leaf(n):\n    return n * {factor} + STEP\n"
ROOT = """from {leaf} import leaf


def root(n):
    total = 0
    for i in range(n):
        total += leaf(i)
    return total
"""


def module(folder: Path, name: str, text: str) -> ModuleType:
    """A module of this text, as if it had been imported."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def rooted(folder: Path, name: str, factor: int, step: int) -> ModuleType:
    folder.mkdir(exist_ok=True)
    module(folder, f"leaf_{name}", LEAF.format(factor=factor, step=step))
    return module(folder, f"root_{name}", ROOT.format(leaf=f"leaf_{name}"))


def test_an_edit_of_a_callee_or_of_its_constant_is_seen(tmp_path: Path) -> None:
    cache, files = tmp_path / "cache", set()
    for name, factor, step in (("a", 2, 0), ("b", 3, 0), ("c", 3, 5)):
        plain = rooted(tmp_path / name, name, factor, step)
        fast = compiled(plain.root, folder=cache)
        assert fast.root(10) == plain.root(10) == 45 * factor + 10 * step
        files.add(fast.__file__)
    assert len(files) == 3


def test_inlined_it_gives_the_same_and_is_kept_beside(tmp_path: Path) -> None:
    plain = rooted(tmp_path, "inlined", 3, 5)
    apart, within = (compiled(plain.root, folder=tmp_path, inlined=inlined) for inlined in (False, True))
    assert apart.root(10) == within.root(10) == plain.root(10)
    assert apart.__file__ != within.__file__
    assert is_compiled(plain.root, folder=tmp_path, inlined=True)


def test_it_is_known_whether_a_call_would_compile(tmp_path: Path) -> None:
    one, other = (rooted(tmp_path, f"known_{n}", 3, n) for n in (1, 2))
    assert not is_compiled(one.root, folder=tmp_path)
    found = compiled(one.root, folder=tmp_path)
    assert not is_compiled(one.root, folder=tmp_path)  # nothing is compiled before its first call
    found.root(3)
    assert is_compiled(one.root, folder=tmp_path)
    assert not is_compiled(other.root, folder=tmp_path)


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    rooted(tmp_path, "p", 2, 1)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from root_p import root\nfrom ampacity.base.compiled import compiled\n"
        "fast = compiled(root)\nassert fast.root(10) == 100\n"
        "print(sum(fast.root.stats.cache_hits.values()), sum(fast.root.stats.cache_misses.values()))"
    )
    environment = {**os.environ, "AMPACITY_CACHE": str(tmp_path / "cache")}
    found = [
        subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert found == [["0", "1"], ["1", "0"]]


def test_each_function_stands_below_all_that_it_calls(tmp_path: Path) -> None:
    text = kernel_text((rooted(tmp_path, "o", 2, 1).root,))
    assert text.index("STEP = 1") < text.index("def leaf") < text.index("def root")
    assert text.count("@njit") == 2


def test_what_a_kernel_may_not_name_is_told_all_at_once(tmp_path: Path) -> None:
    bad = module(
        tmp_path,
        "bad",
        "import math\nNAMES = {}\n\n\ndef bad(n):\n    return math.sqrt(n) + NAMES[n] + worse(n)\n\n\n"
        "def worse(n):\n    return bad(n) + open(n)\n",
    )
    with pytest.raises(KernelError) as told:
        compiled(bad.bad)
    assert str(told.value).splitlines() == [
        "bad names math, which is neither a plain function nor a number",
        "bad names NAMES, which is neither a plain function nor a number",
        "bad calls worse calls bad: a circle has no leaf",
        "worse names open, which is neither a plain function nor a number",
    ]


def test_one_name_cannot_mean_two_things(tmp_path: Path) -> None:
    first, second = rooted(tmp_path / "x", "x", 2, 1), rooted(tmp_path / "y", "y", 2, 9)
    with pytest.raises(KernelError) as told:
        compiled(first.root, second.leaf)
    assert "two functions are named leaf: in leaf_x and leaf_y" in str(told.value)


def test_without_a_writable_cache_it_still_compiles(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    plain = rooted(tmp_path, "w", 7, 1)
    assert compiled(plain.root, folder=tmp_path / "file").root(10) == plain.root(10)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMPACITY_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("AMPACITY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ampacity"


def test_importing_the_deciding_rooms_leaves_the_compiler_unloaded() -> None:
    rooms = "ampacity.base.compiled, ampacity.policy.limits, ampacity.policy.explain, ampacity.policy.book"
    program = f"import sys, {rooms}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"numba", "llvmlite", "numpy"} & set(done.stdout.split()) == set()

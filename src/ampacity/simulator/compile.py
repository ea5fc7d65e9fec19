"""The room's kernels in one module of machine code, compiled at the first call and kept on disk."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from ampacity.base.compiled import compiled
from ampacity.simulator.abort import abort
from ampacity.simulator.closed_loop import serve_sessions
from ampacity.simulator.kill import kill
from ampacity.simulator.open_loop import serve_all
from ampacity.simulator.replica import advance, collect, next_visible_ps, push


@cache
def kernel() -> ModuleType:
    """All that is called from outside of kernels. An edit of any of their sources is a new module."""
    return compiled(serve_all, serve_sessions, advance, push, next_visible_ps, collect, kill, abort)

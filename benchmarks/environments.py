"""Where contestants are measured: an environment for each version of aiohttp, with its peers.

Peers need different versions of aiohttp. Every package of an environment is pinned, in a file of
``pins/`` that is named for its aiohttp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"
HERE = ROOT / "benchmarks"
BIN = "Scripts" if os.name == "nt" else "bin"
# glibc gives freed memory back to the kernel, or does not, as its heap happens to lie: a megabyte
# was 0.3 ms or 1.1, of the floor as of anybody. Here it keeps what it has.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


@dataclass(frozen=True, slots=True)
class Environment:
    """Name one version of aiohttp, and what is installed with it."""

    aiohttp: str
    packages: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """Point at its directory."""
        return HOME / "-".join([f"aiohttp-{self.aiohttp}", *self.packages])

    @property
    def interpreter(self) -> Path:
        """Point at its interpreter."""
        return self.home / BIN / "python"

    @property
    def pins(self) -> Path:
        """Point at the versions of everything."""
        return HERE / "pins" / f"aiohttp-{self.aiohttp}.txt"

    def make(self) -> None:
        """Install what is needed, unless that is done."""
        wanted = ["aiohttp", *self.packages]
        made_from = "\n".join([sys.version, *wanted, self.pins.read_text(encoding="utf-8")])
        stamp = self.home / "made-from"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
            return
        print(f"installing {', '.join(wanted)} for aiohttp {self.aiohttp}", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", self.home)
        run(self.interpreter, "-m", "pip", "install", "-qq", "-c", self.pins, *wanted)
        stamp.write_text(made_from, encoding="utf-8")

    def measure(self, rounds: int | None, rows: Sequence[str] = ()) -> Measured:
        """Measure everybody in one process.

        Args:
            rounds: at the most; None is the quick run.
            rows: only these; all of them if empty.
        """
        chosen = ["--rounds", str(rounds)] if rounds else []
        chosen += ["--rows", *rows] if rows else []
        said = run(self.interpreter, HERE / "measure.py", *chosen)
        (self.home / "samples.json").write_text(said, encoding="utf-8")
        return Measured.from_samples(json.loads(said))


def run(*command: str | Path) -> str:
    """Run a command with this tree's package on its path, and return what it prints."""
    ours = {"PYTHONPATH": str(ROOT / "src"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env = {**os.environ, **KEEP_MEMORY, **ours}
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - commands of our own


TOOLS = ("looptime", "pytest")
# The newest first. aioresponses cannot answer a request on aiohttp 3.14; its fork can.
ENVIRONMENTS = (
    Environment("3.14.5", ("aioresponses-ng", "aiointercept", "aresponses", *TOOLS)),
    Environment("3.13.5", ("aioresponses", *TOOLS)),
)
SMOKE_ENVIRONMENT = Environment("3.14.5")

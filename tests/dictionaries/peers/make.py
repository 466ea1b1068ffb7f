"""Makes a virtual environment for each library our files are exchanged with.

    python tests/dictionaries/peers/make.py

They lie in `.venv-peers/` and see the packages of the environment that runs this script, so that
torch is not installed once more; what each library needs beyond that is listed in its .txt file
and is installed without its own dependencies, which contradict each other.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def make(requirements: Path) -> None:
    """Makes the environment of one list of packages anew."""
    folder = ROOT / ".venv-peers" / requirements.stem
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    Path(packages, "base.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [str(python), "-m", "pip", "install", "--no-deps", "-r", str(requirements)]
    subprocess.run(install, check=True)


if __name__ == "__main__":
    for listed in sorted(HERE.glob("*.txt")):
        if not sys.argv[1:] or listed.stem in sys.argv[1:]:
            make(listed)

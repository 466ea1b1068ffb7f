"""The bundle in the package is what the page's source builds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tomogram.viewer import bundle
from tomogram.viewer.guard import HEADERS

BUILT = ("app.css", "app.js", "widget.js")
AGAIN = "build it again: npm ci && npm run build in web/"


@pytest.fixture(scope="module")
def web(root: Path) -> Path:
    """The page's source; an installed package has none."""
    folder = root / "web"
    if not folder.is_dir():
        pytest.skip("web/ is not beside the package")
    return folder


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_bundle_is_of_this_source(web: Path) -> None:
    """Needs no Node: the build notes what it was made of and what it made."""
    noted = json.loads(bundle.asset("sources.json"))
    names = json.loads((web / "sources.json").read_text())
    paths = [
        path
        for name in names
        for path in ([web / name] if (web / name).is_file() else (web / name).rglob("*"))
        if path.is_file()
    ]
    found = {path.relative_to(web).as_posix(): digest(path.read_bytes()) for path in paths}
    assert found == noted["sources"], AGAIN
    made = {name: digest(bundle.asset(name)) for name in BUILT}
    assert made == noted["built"], AGAIN


@pytest.mark.slow
def test_building_again_gives_the_same_bytes(web: Path, tmp_path: Path) -> None:
    """What continuous integration runs: the bundle is built from the source by the lock file."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    if not (web / "node_modules").is_dir():
        pytest.skip("web/node_modules is not installed: npm ci in web/")
    copy = tmp_path / "web"
    shutil.copytree(web, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(web / "node_modules", target_is_directory=True)
    (tmp_path / "src/tomogram/viewer/built").mkdir(parents=True)
    for command in (["run", "check"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=copy, check=True, env={**os.environ, "CI": "1"})
    for name in BUILT:
        built = (tmp_path / "src/tomogram/viewer/built" / name).read_bytes()
        assert built == bundle.asset(name), AGAIN


def test_the_bundle_loads_nothing_by_itself() -> None:
    for name in ("app.js", "widget.js"):
        script = bundle.asset(name).decode()
        for word in ("import(", "eval(", "new Function", "document.write", "XMLHttpRequest"):
            assert word not in script
    for asset in ("app.css", "report.css"):
        style = bundle.asset(asset).decode()
        assert "@import" not in style
        assert "http" not in style


def test_the_page_has_no_inline_script_or_style() -> None:
    page = bundle.index("server").decode()
    assert page.count("<script") == 1
    assert "<style" not in page
    assert "unsafe" not in HEADERS["Content-Security-Policy"]

"""The public API: lazy, complete, and clear of the subpackages' names."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import tomogram


def test_import_is_light() -> None:
    code = "import sys, tomogram; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_public_name_is_a_subpackage() -> None:
    subpackages = {module.name for module in pkgutil.iter_modules(tomogram.__path__)}
    assert "store" in subpackages
    assert not subpackages & set(tomogram.__all__)


def test_errors_are_the_class_that_the_floors_raise() -> None:
    from tomogram.store.errors import TomogramError

    assert tomogram.TomogramError is TomogramError
    assert dir(tomogram) == sorted(tomogram.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'scann'"):
        tomogram.scann  # noqa: B018

"""The allocator keeps what is freed, where the C library can be asked to."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be asked")
def test_a_block_taken_again_needs_no_new_pages() -> None:
    code = """
        import resource, sys
        from tomogram.store.allocator import keep_freed_memory
        if sys.argv[1] == "keep" and not keep_freed_memory():
            print(-1)
            raise SystemExit
        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        def use():
            block = bytearray(b"x") * (64 << 20)
            del block
        use()
        before = faults()
        for _ in range(4):
            use()
        print(faults() - before)
    """
    found = {}
    for mode in ("keep", "default"):
        run = [sys.executable, "-c", textwrap.dedent(code), mode]
        found[mode] = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    if found["keep"] == -1:
        pytest.skip("this C library cannot be asked")
    assert found["keep"] < found["default"] / 10

"""`python -m tomogram` is the command `tomogram`."""

from __future__ import annotations

from tomogram.cli.main import main

if __name__ == "__main__":
    main()

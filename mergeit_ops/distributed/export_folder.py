"""A warning before rows of two runs end up in one folder."""

from __future__ import annotations

from pathlib import Path

from loguru import logger


def warn_of_earlier_export() -> None:
    """Warn if the folder that Data-Juicer is going to export to holds files already."""
    from data_juicer.config import config

    folder = getattr(config.global_cfg, "export_path", None)
    if not isinstance(folder, str) or not Path(folder).is_dir():
        return
    files = [path for path in Path(folder).iterdir() if path.is_file()]
    if files:
        logger.warning(
            f"The export folder {folder} holds {len(files)} files already. On Ray, Data-Juicer adds to them instead of "
            "replacing them: give every run a folder of its own, or the rows of both are trained on."
        )

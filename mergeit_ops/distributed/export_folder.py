"""A warning if the rows of two runs would be in one folder."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from mergeit_ops.core.text.counts import many


def warn_of_earlier_export() -> None:
    """Warn if the folder of Data-Juicer's export already has files."""
    from data_juicer.config import config

    folder = getattr(config.global_cfg, "export_path", None)
    if not isinstance(folder, str) or not Path(folder).is_dir():
        return
    files = [path for path in Path(folder).iterdir() if path.is_file()]
    if files:
        logger.warning(
            f"The export folder {folder} already has {many(len(files), 'file')}. On Ray, Data-Juicer adds files and "
            "replaces none. Give every run its own folder, or you train on the rows of both runs."
        )

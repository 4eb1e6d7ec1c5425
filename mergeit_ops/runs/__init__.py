"""Read a finished run: its export in any form that Data-Juicer writes, and the records in its work dir."""

from mergeit_ops.runs.rows import ExportRow, Lineage, Quality
from mergeit_ops.runs.run import FinishedRun, read_run

__all__ = ["ExportRow", "FinishedRun", "Lineage", "Quality", "read_run"]

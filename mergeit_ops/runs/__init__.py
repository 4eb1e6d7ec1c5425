"""Reading a finished run: its export, whatever Data-Juicer wrote it as, and the records in its work dir."""

from mergeit_ops.runs.rows import ExportRow, Lineage, Quality
from mergeit_ops.runs.run import FinishedRun, read_run

__all__ = ["ExportRow", "FinishedRun", "Lineage", "Quality", "read_run"]

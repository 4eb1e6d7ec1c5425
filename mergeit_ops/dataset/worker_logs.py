"""The output of Ray's workers, in which operators of Data-Juicer log their errors."""

from __future__ import annotations

from pathlib import Path

_MOST = 2**22  # bytes of a file: errors come early, and one may come for each of a million rows


def logs_folder() -> Path | None:
    """Return the folder of the logs of the workers on this machine; None if Ray does not run."""
    import ray

    node = getattr(ray._private.worker, "_global_node", None) if ray.is_initialized() else None
    return None if node is None else Path(node.get_logs_dir_path())


def sizes_of_logs() -> dict[Path, int]:
    """Return the sizes of the log files of this job's workers."""
    return {path: path.stat().st_size for path in _files()}


def printed_since(sizes: dict[Path, int]) -> str:
    """Return the output of this job's workers on this machine since then.

    :param sizes: as `sizes_of_logs` returned them then.
    """
    parts = []
    for path in _files():
        with path.open("rb") as file:
            file.seek(sizes.get(path, 0))
            parts.append(file.read(_MOST).decode("utf-8", errors="replace"))
    return "\n".join(parts)


def _files() -> list[Path]:
    import ray

    folder = logs_folder()
    if folder is None:
        return []
    return sorted(folder.glob(f"worker-*-{ray.get_runtime_context().get_job_id()}-*.err"))

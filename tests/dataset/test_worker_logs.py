"""The output of Ray's workers, where Ray does not run."""

from mergeit_ops.dataset.worker_logs import logs_folder, printed_since, sizes_of_logs


def test_without_ray_there_are_no_logs():
    import ray

    if ray.is_initialized():
        # Another test of this process has started a cluster.
        folder = logs_folder()
        assert folder is not None
        assert folder.is_dir()
        sizes = sizes_of_logs()
        assert printed_since(sizes).strip("\n") == ""
        assert set(sizes) == set(sizes_of_logs())
    else:
        assert logs_folder() is None
        assert sizes_of_logs() == {}
        assert printed_since({}) == ""

"""Jobs over Arrow tables, in one process or in the tasks of a Ray cluster."""

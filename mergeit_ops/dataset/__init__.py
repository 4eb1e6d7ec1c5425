"""Datasets as Arrow tables: reading, writing with an explicit schema, grouping into topics, the run's manifest."""

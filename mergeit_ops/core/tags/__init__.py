"""Tags of rows: key phrases of texts, and tags that mean the same made one."""

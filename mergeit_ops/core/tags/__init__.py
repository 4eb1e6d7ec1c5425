"""Tags of rows: key phrases of texts, and merging of tags that mean the same."""

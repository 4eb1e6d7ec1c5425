"""Static token vectors: a model that adds up a vector for each token, fitted to another model's embeddings of rows."""

"""Static token vectors: a model that adds up a vector for each token, fitted to what another model makes of rows."""

"""Entrances over HTTP: the GraphQL endpoint, probes and, as a table, the routes that older callers use."""

"""Simulators of the HTTP backends: one module per backend, stateful, as faithful as their contracts.

Nothing here is imported by the gateway, except by `datasources/__init__.py` when a backend has no credentials
configured. `python -m sandbox` runs all of them on one port.
"""

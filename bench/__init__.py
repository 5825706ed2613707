"""Benchmarks that print tables of ratios: `make bench`, or `python -m bench --help`.

The dashboard query is answered by two servers in turn, over the same sandbox and the same MongoDB:

    gateway   `server.py`, as `make run` runs it
    plain     `bench/plain.py`: the same types and resolvers in an ordinary Strawberry server on stock httpx

Where there are two cores or more, the server that is measured has one to itself; simulators, MongoDB and the load
share the others. Figures of one machine say little on another: compare the ratios.
"""

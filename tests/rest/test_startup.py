"""Failing to start: one sentence for whoever did it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core.settings import Settings
from rest.startup import listen


def test_a_port_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Cannot listen on 127.0.0.1:{port}"):
            listen(Settings(port=port, data_dir=tmp_path))


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        Settings(port=port)

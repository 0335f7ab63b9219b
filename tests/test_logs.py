"""Logs: a failure keeps its traceback and gives nothing away."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from agentstore.logs import logging_config


@pytest.mark.parametrize("json_lines", [True, False])
def test_a_traceback_is_kept_without_the_values_of_variables(json_lines):
    settings = logging_config(level="INFO", json_lines=json_lines)["formatters"]["structured"]
    formatter = settings.pop("()")(**settings)
    token = "".join(["st_", "live_", "0123"])
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    line = formatter.format(record)
    assert token not in line
    assert "it broke" in line
    assert "test_logs.py" in line
    if json_lines:
        assert "Traceback" in json.loads(line)["exception"]

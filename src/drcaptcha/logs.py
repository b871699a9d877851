"""The log as JSON, one line each, for programs that gather logs."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The name of the request that is being answered."""


class JsonLines(logging.Formatter):
    """Writes each line of the log as JSON: time, level, logger, message, request, and what else it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if name := REQUEST.get():
            line["request"] = name
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "about", {}), ensure_ascii=False, default=str)

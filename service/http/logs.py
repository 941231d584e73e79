"""Write the log as lines of JSON, one for each request, for platforms that collect and search logs."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from .requests import Record, request_id

logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it


def use_json() -> None:
    """Make every handler of this process write lines of JSON."""
    names = [name for name, found in logging.root.manager.loggerDict.items() if isinstance(found, logging.Logger)]
    for handler in {handler for name in [None, *names] for handler in logging.getLogger(name).handlers}:
        handler.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """Each line is an object with time, level, logger and message, and with request_id, fields and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (own := request_id.get()) is not None:
            line["request_id"] = own
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_request(record: Record) -> None:
    """Log a request. `known_paths` bounds the routes, so a client cannot write into the log."""
    fields = {
        "request_id": record.id,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "seconds": round(record.seconds, 6),
    }
    logger.info("%s %s %d", record.method, record.route, record.status, extra={"fields": fields})

"""Exits with 0 when the part of Cairn in this container, API or worker, says that it is ready."""

import http.client
import os
import sys

TRIES = (("CAIRN_PORT", "8000"), ("CAIRN_HEALTH_PORT", "9000"))


def ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if any(ready(int(os.environ.get(name, default))) for name, default in TRIES) else 1)

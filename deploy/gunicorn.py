"""How gunicorn serves a process of Berth. Its role comes from the settings (``BERTH__ROLES``).

python -m gunicorn --config deploy/gunicorn.py gitlab.wsgi
"""

import os
from collections.abc import Callable
from pathlib import Path
from ssl import SSLContext
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger

from gitlab.server import logs, metrics
from gitlab.server.gunicorn.sockets import TLSClientSocket
from gitlab.settings import CONFIG, ROLES

bind = [
    *([CONFIG.web_http_addr] if "web" in ROLES else []),
    *([CONFIG.registry_http_addr] if "registry" in ROLES else []),
]
_KIND = "-".join(sorted(ROLES))
os.environ.update(metrics.use_folder(CONFIG.home, _KIND))
logs.name_process(_KIND)
proc_name = f"berth-{'-'.join(sorted(ROLES))}"

# Threads, since a push or pull mostly waits for the network or the disk. Those that wait for a
# client count as none, so these are how many work at a time, with a connection to each database.
# Further processes use further cores.
worker_class = "gitlab.server.gunicorn.worker.BerthWorker"
workers = CONFIG.berth.processes
threads = 16 if "registry" in ROLES else 8
preload_app = False

# With threads this is about the worker's heartbeat, not about requests: an upload may take hours.
timeout = 60
# On SIGTERM what is in flight may finish.
graceful_timeout = 60
# Longer than the 60 s for which nginx and most load balancers keep an idle connection, so that
# it is never we who close one that they are about to use.
keepalive = 75
# The heartbeat is a file: on a disk that is busy with fsync it would come late.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

if CONFIG.berth.tls_certificate and CONFIG.berth.tls_key:
    certfile = str(CONFIG.berth.tls_certificate)
    keyfile = str(CONFIG.berth.tls_key)

# Twenty scopes with long names make a request line of several kilobytes.
limit_request_line = 8190
limit_request_field_size = 8190
limit_request_fields = 100

# Whose X-Forwarded-Proto counts; nobody's unless configured (gunicorn would trust loopback).
forwarded_allow_ips = ",".join(CONFIG.berth.trusted_proxies)
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# No proxy may set SCRIPT_NAME, PATH_INFO or REMOTE_USER by a header field.
forwarder_headers = ""
# X_Forwarded_For must not pass for X-Forwarded-For.
header_map = "drop"
permit_obsolete_folding = False
strip_header_spaces = False
permit_unconventional_http_method = False
permit_unconventional_http_version = False
casefold_http_method = False
proxy_protocol = "off"

# A socket in the home folder that can change a running server, and that two servers would share.
control_socket_disable = True

accesslog = None
errorlog = "-"
loglevel = CONFIG.berth.log_level


def on_starting(server: Any) -> None:
    """Numbers begin at zero with the server, not with each of its workers."""
    metrics.empty_folder(CONFIG.home, _KIND)


def ssl_context(config: Config, default: Callable[[], SSLContext]) -> SSLContext:
    """Connections with TLS are waited for as those without are."""
    context = default()
    context.sslsocket_class = TLSClientSocket
    return context


def child_exit(server: Any, worker: Any) -> None:
    """What a worker was at is over."""
    metrics.forget(worker.pid)


class CleanLogger(Logger):
    """gunicorn's log in the form of ours, without secrets.

    A class and not `logconfig_dict`, which would switch the access log on for every request.
    """

    def setup(self, cfg: Config) -> None:
        """Replace the formatters that gunicorn has just set."""
        super().setup(cfg)
        formatter = logs.formatter(CONFIG.berth.log_format)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                handler.setFormatter(formatter)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """What clients send that is no HTTP is no warning of ours.

        docker, podman and skopeo try TLS first on a port that speaks plain http, at each login,
        push and pull.
        """
        level = self.debug if msg.startswith("Invalid request from ip=") else super().warning
        level(msg, *args, **kwargs)


logger_class = CleanLogger

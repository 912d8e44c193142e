"""Writes down, as JSON, what a program can see of its process: to compare a wrapped run with a bare one."""

import atexit
import json
import logging
import os
import signal
import sys
import threading
import warnings


def handlers():
    return {
        number.name: str(signal.getsignal(number))
        for number in signal.valid_signals()
        if isinstance(number, signal.Signals)
    }


print(
    json.dumps(
        {
            "environ": dict(os.environ),
            "path": sys.path,
            "argv": sys.argv,
            "orig_argv": sys.orig_argv,
            "flags": list(sys.flags),
            "root logger": [
                logging.root.level,
                [str(handler) for handler in logging.root.handlers],
                logging.root.disabled,
            ],
            "loggers": sorted(logging.root.manager.loggerDict),
            "signal handlers": handlers(),
            "warnings filters": [str(entry) for entry in warnings.filters],
            "hooks": [
                str(getattr(sys, name)) for name in ("excepthook", "unraisablehook", "displayhook", "breakpointhook")
            ],
            "threading hook": str(threading.excepthook),
            "threads": threading.active_count(),
            "trace functions": [str(sys.gettrace()), str(sys.getprofile())],
            "path hooks": [str(hook).partition(" at ")[0] for hook in sys.path_hooks],
            "meta path": [getattr(finder, "__name__", type(finder).__name__) for finder in sys.meta_path],
            "customized": [name for name in ("sitecustomize", "usercustomize") if name in sys.modules],
            "atexit functions": atexit._ncallbacks(),
            "umask": os.umask(0o22),
            "cwd": os.getcwd(),
            "open files": len(os.listdir("/proc/self/fd")),
            "blocked signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "main": sorted(vars(sys.modules["__main__"])),
        }
    )
)

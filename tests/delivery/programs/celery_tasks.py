# SPDX-License-Identifier: Apache-2.0
"""A Celery application whose tasks trace by hand; the broker is a folder."""

from __future__ import annotations

import os

from celery import Celery
from traced_program import tracer

folder = os.environ["BROKER_FOLDER"]
app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": folder, "data_folder_out": folder, "polling_interval": 0.05},
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


@app.task
def work(number: int) -> None:
    with tracer.start_as_current_span(f"task {number}", attributes={"pid": os.getpid()}):
        pass

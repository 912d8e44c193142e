"""A Celery application without a line of tracing; run as a program, it sends four tasks and waits for them."""

import os

from celery import Celery

app = Celery("celery_app", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True


@app.task(name="add")
def add(x, y):
    return x + y


if __name__ == "__main__":
    results = [add.delay(number, number) for number in range(4)]
    print([result.get(timeout=30) for result in results])

"""
Every way of handing work over, from a request or from anywhere else: each makes the span ``child``.

As a script, ``handing_over.py WAY …`` hands over once for each way, in a span ``parent <way>``, and once more with
no span around it. ``gevent`` or ``eventlet`` as first argument patches everything first.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif __name__ == "__main__" and sys.argv[1] == "eventlet":
    import eventlet

    eventlet.monkey_patch()

import asyncio
import concurrent.futures
import multiprocessing
import multiprocessing.pool
import threading

import tellwhy


def child(name: str = "child") -> str | None:
    with tellwhy.span(name):
        return tellwhy.current_trace_id()


def thread() -> None:
    run(threading.Thread(target=child))


def run(started: threading.Thread) -> None:
    started.start()
    started.join()


class Own(threading.Thread):
    def run(self) -> None:
        child()


def thread_of_a_subclass() -> None:
    run(Own())


def run_without_start() -> None:
    threading.Thread(target=child).run()


def thread_in_thread() -> None:
    run(threading.Thread(target=thread))


def timer() -> None:
    run(threading.Timer(0.01, child))


_pool = concurrent.futures.ThreadPoolExecutor(1)  # one worker, which the first request starts


def executor() -> None:
    _pool.submit(child).result()


def executor_map() -> None:
    list(_pool.map(child, ["child"]))


def run_in_executor() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, child)

    asyncio.run(main())


def to_thread() -> None:
    asyncio.run(asyncio.to_thread(child))


def call_soon_threadsafe() -> None:
    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def called() -> None:
            child()
            done.set()

        helper = threading.Thread(target=lambda: loop.call_soon_threadsafe(called))
        helper.start()
        await done.wait()
        helper.join()

    asyncio.run(main())


def task() -> None:
    async def work() -> None:
        child()

    async def main() -> None:
        await asyncio.create_task(work())

    asyncio.run(main())


def thread_pool() -> None:
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.apply(child)
        pool.close()
        pool.join()


def _process(method: str) -> None:
    started = multiprocessing.get_context(method).Process(target=child)
    started.start()
    started.join(30)


def process_fork() -> None:
    _process("fork")


def process_spawn() -> None:
    _process("spawn")


def process_forkserver() -> None:
    _process("forkserver")


def _processes(method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(child, ["child"])
        pool.close()
        pool.join()


def pool_fork() -> None:
    _processes("fork")


def pool_spawn() -> None:
    _processes("spawn")


def process_executor() -> None:
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        pool.submit(child).result(30)


def greenlet() -> None:
    import gevent

    gevent.spawn(child).get()


def greenlet_pool() -> None:
    from gevent.pool import Pool

    Pool(2).map(child, ["child"])


def greenlet_later() -> None:
    import gevent

    gevent.spawn_later(0.01, child).get()


def native_pool() -> None:
    import gevent

    gevent.get_hub().threadpool.spawn(child).get()


def green_thread() -> None:
    import eventlet

    eventlet.spawn(child).wait()


def green_pool() -> None:
    import eventlet

    eventlet.GreenPool(2).spawn(child).wait()


def green_thread_n() -> None:
    import eventlet

    eventlet.spawn_n(child)
    eventlet.sleep(0.05)


def green_tpool() -> None:
    from eventlet import tpool

    tpool.execute(child)


def hand_over(way: str) -> None:
    getattr(sys.modules[__name__], way)()


def main() -> None:
    for way in sys.argv[1:]:
        if way in ("gevent", "eventlet"):
            continue
        with tellwhy.span(f"parent {way}"):
            hand_over(way)
        hand_over(way)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""
Which moments does a runtime leave us that freezes the process between two requests? The one before the reply.

AWS Lambda stops the process, threads and all, once the reply has been taken,
and kills it without a signal when an invocation takes too long. So what an
invocation has ended is delivered before its reply is posted; and if the time
is nearly over while it still runs, what is open is ended, marked
``tellwhy.unfinished`` and delivered as well.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

from functools import wraps
from time import monotonic, time

from tellwhy import diagnostics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Timer
    from typing import Any, Final

# The methods of ``awslambdaric``'s runtime client, through which Python functions speak to Lambda.
_NEXT: Final = "wait_next_invocation"
_REPLIES: Final = ("post_invocation_result", "post_invocation_error", "post_init_error")

# Seconds before an invocation's deadline. The last moment is short, for what ends in time is worth
# more than what is cut; the rest of it is for the reply itself.
_LAST_MOMENT: Final = 0.4
_FOR_THE_REPLY: Final = 0.1
# A receiver that hangs costs every invocation less than the one before.
_LEAST_PATIENCE: Final = 0.05


class Invocations:
    """
    Delivery, in step with the invocations of a function.

    Args:

        flush: Delivers what has ended, within a number of seconds; tells whether the receiver has all of it.

        cut: Ends what is open, marks it, and delivers within a number of seconds.

        longest: The longest that one reply may be held back, in seconds.
    """

    def __init__(self, flush: Callable[[float], bool], cut: Callable[[float], object], longest: float) -> None:
        self._flush = flush
        self._cut = cut
        self._longest = self._patience = longest
        self._deadline = float("inf")
        self._alarm: Timer | None = None
        self._restore: list[Callable[[], None]] = []

    def follow(self, client: type[Any]) -> None:
        """Be told of every invocation of a runtime client; a method that it does not have is not waited for."""
        if hasattr(client, _NEXT):
            self._wrap(client, _NEXT, after=self.began)
        for name in _REPLIES:
            if hasattr(client, name):
                self._wrap(client, name, before=self.ends)

    def forget(self) -> None:
        """Leave the runtime client as it was found."""
        self._silence()
        while self._restore:
            self._restore.pop()()

    def began(self, request: Any) -> None:
        """An invocation is here: watch its time."""
        left = float(request.deadline_time_in_ms) / 1000 - time()
        self._deadline = monotonic() + left
        if left > 2 * _LAST_MOMENT:
            from threading import Timer

            self._silence()
            self._alarm = Timer(left - _LAST_MOMENT, self._nearly_over)
            self._alarm.daemon = True
            self._alarm.start()

    def ends(self) -> None:
        """The reply is about to be posted: after that nothing may run any more."""
        self._silence()
        started = monotonic()
        allowed = min(self._patience, self._deadline - started - _FOR_THE_REPLY)
        if allowed <= 0 or self._flush(allowed):
            self._patience = self._longest
        elif monotonic() - started >= allowed:
            self._patience = max(_LEAST_PATIENCE, self._patience / 2)

    def _nearly_over(self) -> None:
        try:
            self._cut(_LAST_MOMENT - _FOR_THE_REPLY)
        except Exception as error:
            diagnostics.fault("an invocation that takes too long", error)

    def _silence(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def _wrap(
        self,
        client: type[Any],
        name: str,
        *,
        before: Callable[[], None] | None = None,
        after: Callable[[Any], None] | None = None,
    ) -> None:
        original, is_own = getattr(client, name), name in vars(client)

        @wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            if before is not None:
                _guarded(before)
            result = original(*args, **kwargs)
            if after is not None:
                _guarded(after, result)
            return result

        def restore() -> None:
            if vars(client).get(name) is not method:
                return
            if is_own:
                setattr(client, name, original)
            else:
                delattr(client, name)

        setattr(client, name, method)
        self._restore.append(restore)


def _guarded(call: Callable[..., None], *args: Any) -> None:
    try:
        call(*args)
    except Exception as error:
        diagnostics.fault("an invocation", error)

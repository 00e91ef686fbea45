"""Tables of ``ivimkit node status``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.rounding import rounded

if TYPE_CHECKING:
    from ivimkit.node.health import NodeStatus
    from ivimkit.node.jobs import Delivery, Job

__all__ = ["status_shown"]

_STYLES = {"done": "green", "failed": "bold red", "replaced": "dim"}


def status_shown(status: NodeStatus) -> Iterator[RenderableType]:
    """Yield what is printed of the state of a node."""
    counts = status.counts()
    running = "running" if status.is_running else "not running"
    jobs = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    yield f"{running}; {jobs or 'no jobs'}; {rounded(status.free_gb)} GB free"
    if status.jobs:
        yield ""
        table = plain_table("job", "state", "scan", "b", "rev.", "rule", "changed", left=3)
        for job in status.jobs:
            table.add_row(
                job.id,
                Text(job.state.value, style=_STYLES.get(job.state.value, "")),
                job.description,
                str(job.b_values),
                str(job.revision),
                job.rule,
                _moment(job.changed_at),
            )
        yield table
    yield from _unfinished(status)


def _unfinished(status: NodeStatus) -> Iterator[RenderableType]:
    """Yield a sentence for what failed, is tried again, is waited for, or is ignored."""
    sentences = [
        *(Text(f"failed: {reason}", style="red") for reason in status.failures),
        *(
            _again(job, delivery)
            for job in status.jobs
            for delivery in status.deliveries.get(job.id, ())
            if delivery.state == "waiting" and delivery.attempts
        ),
        *_studies(status),
    ]
    if sentences:
        yield ""
        yield from sentences


def _again(job: Job, delivery: Delivery) -> Text:
    return Text(
        f"{job.id}: not sent to {delivery.peer} after {delivery.attempts} attempts "
        f"({delivery.reason}); the next is at {_moment(delivery.next_at)}"
    )


def _studies(status: NodeStatus) -> Iterator[Text]:
    for one in status.studies:
        if one.look is None:
            yield Text(f"receiving: study {one.study}, {one.images} images")
        elif one.look.verdict in ("ignored", "incomplete"):
            yield Text(f"{one.look.verdict}: study {one.study}: {one.look.reason}")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%m-%d %H:%M:%S")

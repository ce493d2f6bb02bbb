"""The client's side of live calls: what a watcher is told, from messages to the model's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.calls.words import ChangeKind, Kept, Update
from locsvc.rpc.convert.replies import read_estimate, read_time

if TYPE_CHECKING:
    from locsvc.calls.outlook import Outlook
    from locsvc.v1 import call_service_pb2


def read_update(message: call_service_pb2.WatchLocationResponse) -> Update:
    """One message of a watched call."""
    has = message.HasField
    return Update(
        revision=message.revision,
        kind=ChangeKind(message.kind),
        estimate=read_estimate(message.estimate) if has("estimate") else None,
        change=message.change,
        evidence_ids=tuple(message.evidence_ids),
        outlook=_outlook(message.outlook) if has("outlook") else None,
        provisional=message.provisional,
        changed_at=read_time(message.changed_at) if has("changed_at") else None,
    )


def _outlook(message: call_service_pb2.Outlook) -> Outlook:
    # Here, as it takes numpy along, which a client that watches nothing does not wait for.
    from locsvc.calls.outlook import Awaited, Outlook, Prospect

    return Outlook(
        fit_to_dispatch=message.fit_to_dispatch,
        unfit_because=tuple(message.unfit_because),
        fit_radius_m=message.fit_radius_m,
        elapsed_s=message.elapsed_s,
        deadline_at=read_time(message.deadline_at),
        awaited=tuple(Awaited(a.source, a.chance, a.median_wait_s, a.radius_m) for a in message.awaited),
        prospects=tuple(
            Prospect(p.within_s, p.chance, p.radius_m if p.HasField("radius_m") else None) for p in message.prospects
        ),
    )


def read_kept(message: call_service_pb2.AddEvidenceResponse) -> Kept:
    """What became of evidence that was sent."""
    return Kept(message.call_id, message.revision, message.added, message.duplicates, tuple(message.evidence_ids))

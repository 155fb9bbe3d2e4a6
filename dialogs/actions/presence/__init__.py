"""Who is on the site: visits begin and end, and what that does to visitors and their open dialogs (P1 to P3, P6, P7, P9, P10).

`arrivals` is imported by `departures`, and `outages` by both of the others' callers; the names below are what other modules use.
"""

from dialogs.actions.presence.arrivals import BATCH, Arrival, known_visitors, page_wrote, visits_began
from dialogs.actions.presence.departures import (
    CLAIM_WITHIN,
    Departure,
    any_lost,
    end_lost_visits,
    unclaimed_visits,
    visits_ended,
    visits_silent,
)
from dialogs.actions.presence.outages import (
    LONGEST_GAP,
    PROCESS_LEASE,
    OutageBetween,
    end_outage,
    lateness_judged_at,
    renew_process,
)

__all__ = [
    "BATCH",
    "CLAIM_WITHIN",
    "LONGEST_GAP",
    "PROCESS_LEASE",
    "Arrival",
    "Departure",
    "OutageBetween",
    "any_lost",
    "end_lost_visits",
    "end_outage",
    "known_visitors",
    "lateness_judged_at",
    "page_wrote",
    "renew_process",
    "unclaimed_visits",
    "visits_began",
    "visits_ended",
    "visits_silent",
]

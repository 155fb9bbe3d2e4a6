"""The live process: a small ASGI app beside Django that takes signs of life and goodbyes, and holds long polls and streams.

`app` dispatches requests and WebSockets to `visit_handlers` (pages of visitors) and `workspace_handlers` (tabs of operators);
`upkeep` runs the background work (`visit_upkeep`, `workspace_upkeep`, service states, hints). All of them share one `state`:
who is there (`presence`), who listens to which channel (`hub`), which services are online (`service_states`), the open
`streams`, and the `caps` on how many of these one client may hold.

No Django middleware protects this app: `app` checks host, origin and size itself, handlers check tickets.
"""

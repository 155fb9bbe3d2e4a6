"""The live app: a small raw ASGI app for signs of life, goodbyes and long polls, in front of Django.

It knows who is there (`presence`), who wants to hear of what (`hub`), and which services are online (`service`).
No Django middleware protects it: `app` checks host, size and tickets itself.
"""

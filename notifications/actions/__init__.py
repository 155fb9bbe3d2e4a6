"""Every write about letters is a named verb here: `writing` puts them into the outbox, `delivery` gets them out of it.

Locks: outgoing emails by id, then dialogs by id. Writing locks dialogs and only adds emails; sending itself locks nothing.
"""

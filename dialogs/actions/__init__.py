"""Every write about dialogs is a named verb here; pages, tasks, the admin and commands call the same verbs.

Locks are taken in one order everywhere: account, visitors by id, dialogs by id, operator, the numbering last.
"""

"""The names of the hint channels that pages of an account listen to."""


def service_channel(account_id: int) -> str:
    """The hint channel of everyone who shows whether an account is online."""
    return f"service:{account_id}"


def workspace_channel(account_id: int) -> str:
    """The hint channel of an account's left panels."""
    return f"workspace:{account_id}"


def operator_channel(operator_id: int) -> str:
    """The hint channel of one person's own tabs."""
    return f"operator:{operator_id}"

"""Django's PostgreSQL with a limit to what one statement may take, for connections that serve pages (`web_statements`)."""

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    statement_limit = 0.0  # seconds, of a connection that is made from now on; 0 is none

    def init_connection_state(self) -> None:
        super().init_connection_state()
        if self.statement_limit and self.connection is not None:
            # not one of the parameters of the start, which a pooler might refuse
            self.connection.execute(f"SET statement_timeout = {int(self.statement_limit * 1000)}")

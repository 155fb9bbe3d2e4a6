"""What mobile apps and push services do (P7)."""

from tests.model.facts import Report
from tests.model.story import Story, step


@step
def report_device(story: Story, visitor: str, device: str, token: str | None) -> None:
    """The visitor's app tells of its device: with a push token, with "none", or (None) without a word of tokens."""
    story.history.reports.append(Report(story.now, device, visitor, token))
    story.product.app_reports(visitor, device, token)


@step
def refuse_token(story: Story, token: str) -> None:
    """The push service says that a token is invalid."""
    story.history.refused_tokens.append((story.now, token))
    story.product.push_service_refuses(token)

"""Where a page finds its script."""

from django import template

from dialogs.views.scripts import address_of

register = template.Library()


@register.simple_tag
def script_address(page: str) -> str:
    """The address of a page's script; another one with each release, so that no page runs a script of an older one."""
    return address_of(page)

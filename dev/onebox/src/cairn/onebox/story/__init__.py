"""The story that a onebox plays through its own public HTTP APIs: two universities, their learners, a qualification."""

from cairn.onebox.story.api import Access, StoryFailed
from cairn.onebox.story.cast import TENANTS
from cairn.onebox.story.play import Moment, play

__all__ = ["TENANTS", "Access", "Moment", "StoryFailed", "play"]

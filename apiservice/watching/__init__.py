"""Watch: a list that goes on. One poll of the sources serves everybody who watches the same question."""

from apiservice.watching.changes import Event, difference
from apiservice.watching.feed import OLDEST, Batch, Feed
from apiservice.watching.feeds import Feeds
from apiservice.watching.options import WatchOptions, parse_watch_options
from apiservice.watching.stream import Watching

__all__ = ["OLDEST", "Batch", "Event", "Feed", "Feeds", "WatchOptions", "Watching", "difference", "parse_watch_options"]

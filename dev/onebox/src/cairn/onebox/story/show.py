"""What the person at the terminal sees: bars that move on a terminal, one line for each thing done elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

WIDTH = 100


class Show:
    """Prints to `console`, in at most 100 columns."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._width = min(console.width, WIDTH)

    def act(self, title: str) -> None:
        self.console.print(f"\n[bold]{escape(title)}[/]", highlight=False)

    def note(self, text: str) -> None:
        """One thing that happened."""
        self.console.print(Padding(escape(text), (0, 0, 0, 2), expand=False), highlight=False, width=self._width)

    @contextmanager
    def bar(self, title: str, total: int) -> Generator[Callable[[int], None]]:
        """Yields what takes the number done so far. Leaves one line, with the time that it took."""
        started = time.monotonic()
        if self.console.is_terminal:
            columns = (TextColumn("  {task.description}"), BarColumn(24), MofNCompleteColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                task = progress.add_task(escape(title), total=total)
                yield lambda done: progress.update(task, completed=done)
        else:
            yield lambda done: None
        took = f"{time.monotonic() - started:.1f} s"
        self.console.print(f"  {escape(title)} [dim]({total:,} in {took})[/]", highlight=False, width=self._width)

    def table(self, title: str, rows: dict[str, str]) -> None:
        """What happened, and how much of it."""
        table = Table(title=title, title_justify="left", show_header=False, width=min(self._width, 78))
        table.add_column(ratio=1)
        table.add_column(justify="right")
        for name, value in rows.items():
            table.add_row(escape(name), escape(value))
        self.console.print()
        self.console.print(table)

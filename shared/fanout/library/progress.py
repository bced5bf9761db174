"""`progress=True`: a progress bar in a terminal or a notebook, and nothing in a pipe."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """What calls report to; by itself it shows nothing."""

    def advance(self, *, failed: bool) -> None:
        """Count one more finished call."""

    def close(self) -> None:
        """Leave the last state on the screen."""

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the block as a call, which failed if the block raises."""
        try:
            yield
        except Exception:
            self.advance(failed=True)
            raise
        self.advance(failed=False)


class _Bar(Progress):
    def __init__(self, total: int | None, *, disable: bool | None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets, a notebook gets a text bar
            from tqdm.auto import tqdm

            tqdm.monitor_interval = 0  # no thread that outlives the call
            self._bar = tqdm(total=total, unit="response", disable=disable, leave=True)
        self._failed = 0

    def advance(self, *, failed: bool) -> None:
        self._failed += failed
        if failed:
            self._bar.set_postfix(failed=self._failed, refresh=False)
        self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


@contextmanager
def progress_bar(total: int | None, *, shown: bool) -> Iterator[Progress]:
    """A bar of so many calls (`None`: not known) for the block; without `shown`, none."""
    # `None` disables the bar where stderr is no terminal; a notebook's is none either.
    bar = _Bar(total, disable=False if in_notebook() else None) if shown else Progress()
    try:
        yield bar
    finally:
        bar.close()


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")

"""The entry point: imports take a second, and Ctrl-C within it is no error."""

from __future__ import annotations

import signal


def main() -> None:
    """Entry point of `llmhub`."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:  # and not switched off by whoever started this
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from llmhub import cli

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()

"""The command info."""

from __future__ import annotations

import argparse

from fastsoftmax import show_config


def run_info(arguments: argparse.Namespace) -> None:
    """``fastsoftmax info``."""
    show_config()

"""The last line of a run: how many scenarios are the same."""

from __future__ import annotations

from typing import Any

import aiohttp

TEST = "conformance/test_conformance.py::test_a_stub_is_what_a_server_is["


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many scenarios gave the same transcript on both sides."""
    outcomes = {
        report.nodeid: report.outcome
        for reports in terminalreporter.stats.values()
        for report in reports
        if TEST in getattr(report, "nodeid", "") and getattr(report, "when", "") == "call"
    }
    if outcomes:
        same = sum(outcome == "passed" for outcome in outcomes.values())
        terminalreporter.write_line(
            f"conformance: {same}/{len(outcomes)} scenarios identical"
            f" on aiohttp {aiohttp.__version__}"
        )

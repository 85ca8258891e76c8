"""A campaign that is ended takes its processes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]
STARTS = """
import os, signal, subprocess, sys, time
from performance.faults._ending import nothing_left
with nothing_left():
    if os.fork() == 0:
        os.setsid()
        usual = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        inner = subprocess.Popen(["sleep", "60"])
        print(int(usual), os.getpid(), inner.pid, flush=True)
        time.sleep(60)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_campaign_that_is_ended_leaves_no_process(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as campaign:
        assert campaign.stdout
        usual, *started = map(int, campaign.stdout.readline().split())
        assert usual, "a stage is killed as outside of a campaign"
        assert all(psutil.pid_exists(pid) for pid in started)
        campaign.send_signal(number)
        assert campaign.wait(30) == 128 + number
    left = [process for pid in started if psutil.pid_exists(pid) for process in (psutil.Process(pid),)]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []

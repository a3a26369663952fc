"""R4, R13: the servers that the processes stand on are killed, silent, or full."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from cairn.provision.kafka import KafkaBroker, KafkaCluster
from cairn.provision.processes import Account

from .conftest import Systems
from .invariant import check
from .traffic import ready_traffic


async def test_r4_while_the_broker_is_silent_intake_accepts_and_afterwards_all_is_delivered(
    systems: Systems, tmp_path: Path, long_seconds: float
) -> None:
    with KafkaBroker(tmp_path / "kafka") as broker:
        system = await systems(broker.access)
        traffic = await ready_traffic(system, rate=10)
        broker.pause()
        try:
            await traffic.run(long_seconds)
        finally:
            broker.resume()
        assert set(traffic.statuses) == {202}
        await traffic.signed()
        await check(system)


async def test_r4_a_leader_killed_in_a_cluster_of_three_costs_nothing(
    systems: Systems, tmp_path: Path, long_seconds: float
) -> None:
    with KafkaCluster(tmp_path / "kafka") as cluster:
        system = await systems(cluster.access)
        traffic = await ready_traffic(system, rate=10)
        posting = asyncio.create_task(traffic.run(long_seconds))
        for broker in cluster.brokers.values():  # each leads a third of the partitions
            await asyncio.sleep(long_seconds / 10)
            broker.kill()
            await asyncio.sleep(long_seconds / 10)
            await asyncio.to_thread(broker.start)
        await posting
        assert set(traffic.statuses) == {202}
        await traffic.signed()
        await check(system)


@contextmanager
def small_disk(megabytes: int) -> Generator[tuple[Path, Callable[[int], None]]]:
    """A folder of PostgreSQL's on a file system of its own, and what makes that larger."""
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    disk = Path(tempfile.mkdtemp(prefix="cairn-disk-"))

    def mount(*options: str) -> None:
        command = [*root, "mount", "-t", "tmpfs", *options, "none", disk]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"R13 mounts a file system: run it as root, or with sudo. {done.stderr}"

    mount("-o", f"size={megabytes}m,mode=0777")
    try:
        # What else lies there, so that it fills soon.
        (disk / "ballast").write_bytes(bytes(6 * 1024 * 1024))
        data = disk / "data"
        data.mkdir(mode=0o700)
        if account := Account.unprivileged():
            account.own(data)
        yield data, lambda size: mount("-o", f"remount,size={size}m")
    finally:
        subprocess.run([*root, "umount", "-l", disk], check=True)
        disk.rmdir()


async def test_r13_a_full_disk_refuses_and_loses_nothing(systems: Systems) -> None:
    system = await systems()
    traffic = await ready_traffic(system, rate=60)
    with small_disk(16) as (data, enlarge):
        for statement in (
            f"CREATE TABLESPACE small LOCATION '{data}'",
            "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small",
            "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small",
        ):
            await system.rows("issuance", statement)
        for _ in range(20):
            await traffic.run(3)
            if set(traffic.statuses) != {202}:
                break
        refused = [sent for sent in traffic.sent.values() if sent.status != 202]
        assert {sent.status for sent in refused} == {503}
        assert all(sent.retry_after for sent in refused)
        await asyncio.to_thread(enlarge, 256)
        await traffic.insist()
        await traffic.signed()
        await check(system)
        await asyncio.to_thread(system.stop)

"""The series that node-mixin's rules, alerts and dashboards read are all there, with the labels they are read by."""

from __future__ import annotations

import pytest

from tests.exporter.catalogue import Entry, entries

# rules and alerts of node-mixin, then its dashboards for Linux
NEEDED: dict[str, set[str]] = {
    "node_cpu_seconds_total": {"cpu", "mode"},
    "node_load1": set(),
    "node_load5": set(),
    "node_load15": set(),
    **{
        f"node_memory_{name}_bytes": set()
        for name in ("MemAvailable", "MemTotal", "MemFree", "Buffers", "Cached", "Slab")
    },
    "node_vmstat_pgmajfault": set(),
    "node_disk_io_time_seconds_total": {"device"},
    "node_disk_io_time_weighted_seconds_total": {"device"},
    "node_disk_read_bytes_total": {"device"},
    "node_disk_written_bytes_total": {"device"},
    **{
        f"node_network_{way}_{what}_total": {"device"}
        for way in ("receive", "transmit")
        for what in ("bytes", "drop", "errs", "packets")
    },
    **{
        f"node_filesystem_{what}": {"device", "fstype", "mountpoint"}
        for what in ("avail_bytes", "size_bytes", "files", "files_free", "readonly")
    },
    "node_nf_conntrack_entries": set(),
    "node_nf_conntrack_entries_limit": set(),
    "node_textfile_scrape_error": set(),
    "node_timex_offset_seconds": set(),
    "node_timex_sync_status": set(),
    "node_timex_maxerror_seconds": set(),
    "node_md_disks": {"device", "state"},
    "node_md_disks_required": {"device"},
    "node_filefd_allocated": set(),
    "node_filefd_maximum": set(),
    "node_systemd_unit_state": {"name", "state", "type"},
    "node_systemd_service_restart_total": {"name"},
    "node_bonding_slaves": {"master"},
    "node_bonding_active": {"master"},
    "node_uname_info": {"nodename", "release", "sysname", "machine"},
    "node_time_seconds": set(),
    "node_boot_time_seconds": set(),
    "node_exporter_build_info": {"version"},
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_series_that_node_mixin_reads_is_there(name: str) -> None:
    found: dict[str, Entry] = {entry.name: entry for entry in entries()}

    assert name in found
    assert NEEDED[name] <= set(found[name].labels)

"""Renders the committed configuration for the hosts of a run, and computes how it differs from the shipped defaults."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.healing.faults.asked import SHARED_RISE
from benchmarks.healing.hosts import Host
from benchmarks.healing.layout import EXPORTER_PORT, REMEDIATOR_PORT, ROUTER, Pace
from remediator.config import describe
from remediator.config.reading import load
from selfheal.common.durations import format_duration
from selfheal.common.shipped import shipped
from selfheal.stack.config import shipped_rules

COMMITTED = Path(__file__).parent / "config"
HOOK_TOKEN = "hook-token-for-measuring"
API_TOKEN = "api-token-for-measuring"
PLACES = (
    "state",
    "prometheus",
    "alertmanagers",
    "receiver",
    "hosts",
    "playbooks",
    "rules",
    "policy",
    "process_config",
    "hook",
    "api",
)
"""Keys of remediator.yml that say where something is, and nothing of how it is judged or held back."""
CHANGEABLE = frozenset({"mode", "limits", "highest_mode", "monitoring", "windows"})
"""Limits and mode: what the committed configuration may have of its own."""


def render_centre(folder: Path, hosts: Sequence[Host], pace: Pace) -> None:
    """Write what Prometheus and Alertmanager read into `folder`."""
    folder.mkdir(mode=0o700)
    for name in ("prometheus.yml", "alertmanager.yml"):
        document = _each_host(yaml.safe_load((COMMITTED / name).read_text("utf-8")), hosts)
        if "global" in document:
            document["global"]["scrape_interval"] = format_duration(pace.scrape)
            document["global"]["scrape_timeout"] = format_duration(min(2.0, pace.scrape))
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    shutil.copytree(COMMITTED / "rules", folder / "rules")
    for file in shipped_rules():
        shutil.copy(file, folder / "rules" / file.name)
    _tokens(folder)
    (folder / "rules" / "overrides.yml").write_text(yaml.safe_dump(_overrides(hosts)), "utf-8")
    services = [
        {"targets": [f"{host.address}:{port}"], "labels": {"instance": f"{host.name}:{port}", "service": name}}
        for host in hosts
        for name, port in host.services.items()
    ]
    (folder / "services.json").write_text(json.dumps(services), "utf-8")


def _overrides(hosts: Sequence[Host]) -> dict[str, Any]:
    """Return the thresholds of this run, as a site writes its own: the machine may use shared memory already."""
    threshold = shared_memory() + SHARED_RISE // 2
    rule = {
        "record": "selfheal:threshold",
        "labels": {"check": "shared_memory", "level": "warning", "instance": f"{hosts[0].name}:{EXPORTER_PORT}"},
        "expr": f"vector({threshold})",
    }
    return {"groups": [{"name": "overrides", "rules": [rule]}]}


def shared_memory() -> int:
    """Return the bytes of shared memory that the machine uses, files in tmpfs among them."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:"))


def render_host(host: Host, pace: Pace) -> None:
    """Write what exporter and remediator of a host read into its folder."""
    shutil.copy(COMMITTED / "processes.yml", host.folder / "processes.yml")
    for key, wanted in (("heartbeats", host.heartbeats), ("probes", host.probes)):
        document = yaml.safe_load((COMMITTED / f"{key}.yml").read_text("utf-8"))
        document[key] = {name: each for name, each in document[key].items() if name in wanted}
        (host.folder / f"{key}.yml").write_text(yaml.safe_dump(document), "utf-8")
    _private(host.folder / "policy.yml", (COMMITTED / "policy.yml").read_text("utf-8"))
    ports = [EXPORTER_PORT, REMEDIATOR_PORT, *host.services.values()]
    values = _values(host) | {"@instances@": ", ".join(f'"{host.name}:{port}"' for port in ports)}
    values["@scrape@"] = format_duration(pace.scrape)
    _private(host.folder / "remediator.yml", _filled((COMMITTED / "remediator.yml").read_text("utf-8"), values))
    (host.folder / "playbooks").mkdir()
    own = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (COMMITTED / "playbooks").glob("*.yml")}
    for name, playbook in {**shipped_playbooks(), **changed_playbooks(), **own}.items():
        if pace.healthy_for is not None and name in own:
            playbook["verify"]["healthy_for"] = format_duration(pace.healthy_for)
        text = yaml.safe_dump(playbook, sort_keys=False, allow_unicode=True)
        (host.folder / "playbooks" / f"{name}.yml").write_text(text, "utf-8")
    (host.folder / "rules").mkdir()
    for file in (*shipped_rules(), *(COMMITTED / "rules").glob("*.yml")):
        shutil.copy(file, host.folder / "rules" / file.name)
    _tokens(host.folder)


def exporter_argv(host: Host) -> list[str]:
    """Return how a host's exporter is started: the machine's own gauges come from the first host only."""
    argv = [
        sys.executable,
        "-m",
        "exporter",
        f"--web.listen-address={host.address}:{EXPORTER_PORT}",
        "--web.allow-anyone",
    ]
    argv += ["--collector.disable-defaults", "--collector.process", f"--config.path={host.folder}/processes.yml"]
    argv += ["--collector.sockstat", "--collector.udp_queues", "--collector.directory"]
    argv += [f"--collector.directory.root={folder}" for folder in host.directories]
    if host.heartbeats:
        argv += ["--collector.heartbeat", f"--collector.heartbeat.config={host.folder}/heartbeats.yml"]
    if host.probes:
        argv += ["--collector.probe", f"--collector.probe.config={host.folder}/probes.yml"]
    if host.number == 1:
        argv += [f"--collector.{name}" for name in ("cpu", "meminfo", "loadavg", "stat", "vmstat", "pressure")]
    return argv


def remediator_argv(host: Host) -> list[str]:
    """Return how a host's remediator is started."""
    address = f"--web.listen-address={host.address}:{REMEDIATOR_PORT}"
    return [sys.executable, "-m", "remediator", f"--config.file={host.folder}/remediator.yml", address]


def changed_playbooks() -> dict[str, dict[str, Any]]:
    """Return the shipped playbooks that the benchmark uses, with its changes laid over them."""
    changes = yaml.safe_load((COMMITTED / "shipped.yml").read_text("utf-8"))
    return {name: _laid_over(shipped_playbooks()[name], change) for name, change in changes.items()}


def shipped_playbooks() -> dict[str, dict[str, Any]]:
    """Return every shipped playbook by its name; all of them are there, and those that are not changed only observe."""
    files = shipped("remediator", "playbooks", "shipped").glob("*.yml")
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in files}


def difference(folder: Path) -> Iterator[str]:
    """Given a new folder, yield a line for everything in which the committed configuration is not as shipped.

    Raise RuntimeError if it differs in anything that is neither a limit nor a mode.
    """
    host = Host(1, folder)
    folder.mkdir(mode=0o700)
    render_host(host, Pace())
    whole = yaml.safe_load((folder / "remediator.yml").read_text("utf-8"))
    places = {key: whole[key] for key in PLACES if key in whole}
    _private(folder / "defaults.yml", yaml.safe_dump(places))
    ours = dict(flatten(describe(load(folder / "remediator.yml"))))
    theirs = dict(flatten(describe(load(folder / "defaults.yml"))))
    # each is protected against itself: the file's own name is in it
    changed = {key: value for key, value in ours.items() if theirs.get(key) != value and key != "protected"}
    for key, value in changed.items():
        yield f"remediator.yml: {key} is {value}, shipped {theirs.get(key)}"
    wrong = [key for key in changed if key.partition(".")[0] not in CHANGEABLE]
    for name, playbook in changed_playbooks().items():
        before, after = dict(flatten(shipped_playbooks()[name])), dict(flatten(playbook))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield f"{name}.yml: {key} is {after.get(key)}, shipped {before.get(key)}"
                wrong += [key] if key.partition(".")[0] not in CHANGEABLE else []
    own = sorted(path.stem for path in (COMMITTED / "playbooks").glob("*.yml"))
    yield f"playbooks of the benchmark's own, beside the {len(shipped_playbooks())} shipped ones: {', '.join(own)}"
    if wrong:
        raise RuntimeError(f"the configuration differs in more than limits and mode: {', '.join(wrong)}")


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a document with its path; a list is one leaf."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from flatten(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _laid_over(document: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for key, value in change.items():
        before = merged.get(key)
        merged[key] = _laid_over(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _each_host(value: Any, hosts: Sequence[Host]) -> Any:
    """Return a document in which each item of a list that is a host's own stands once for every host."""
    if isinstance(value, Mapping):
        return {key: _each_host(each, hosts) for key, each in value.items()}
    if isinstance(value, list):
        return [filled for each in value for filled in _items(each, hosts)]
    return _filled(value, {"@router@": ROUTER}) if isinstance(value, str) else value


def _items(item: Any, hosts: Sequence[Host]) -> list[Any]:
    if not _is_a_hosts(item):
        return [_each_host(item, hosts)]
    return [json.loads(_filled(json.dumps(item), _values(host))) for host in hosts]


def _is_a_hosts(item: Any) -> bool:
    """Say whether an item names a host by itself, and not only in lists below it."""
    return isinstance(item, Mapping) and any(
        "@host@" in json.dumps(each) for each in item.values() if not isinstance(each, list)
    )


def _values(host: Host) -> dict[str, str]:
    return {"@host@": host.name, "@address@": host.address, "@router@": ROUTER}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _tokens(folder: Path) -> None:
    _private(folder / "hook.token", HOOK_TOKEN)
    _private(folder / "api.token", API_TOKEN)


def _private(file: Path, text: str) -> None:
    file.touch(0o600)
    file.write_text(text, "utf-8")

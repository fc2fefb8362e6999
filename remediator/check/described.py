"""What each key of a playbook, the configuration and a policy means, in a line: what an editor shows beside it."""

from __future__ import annotations

from collections.abc import Mapping

PLAYBOOK: Mapping[str, str] = {
    "playbook": "The playbook's name: small letters, digits and _",
    "title": "What it is called, in English and Korean; one stands in for the other",
    "trigger": "What starts it",
    "trigger.alert": "The name of the alert that it answers",
    "trigger.match": "Alertmanager matchers on the alert's labels; regular expressions are anchored",
    "trigger.manual": "For people only: no alert is needed. Any playbook can be run by hand too: selfheal run",
    "mode": "observe (only record), approve (a person says yes each time) or auto; capped by highest_mode",
    "target": "What is acted upon: host, and one kind of thing with its name, as process_group: worker-mail",
    "limits": "How often it may act",
    "limits.cooldown": "Rest of the target after an effect on it, by anyone",
    "limits.rate": "Remediations with effects per window: of this target, and of this playbook",
    "limits.lock": "What nobody else may work on meanwhile: host or target",
    "limits.hold_at_most": (
        "How long it waits while the alert is silenced, inhibited or cannot be seen, while its monitoring is not whole,"
        " or for a blast radius that allows none or a quorum that is missing; then it is skipped"
    ),
    "limits.attempts": "Remediations of one occurrence that may begin an effect",
    "limits.blast_radius": "How much of a group may be in flight or touched together",
    "limits.blast_radius.by": "Labels of the alert; alerts with the same values are one group",
    "limits.blast_radius.max": "A share of the targets that Prometheus scrapes in the group, rounded down, or a count",
    "limits.blast_radius.window": (
        "How long a target counts after the last effect on it; 0s counts only those in flight"
    ),
    "limits.blast_radius.quorum": (
        "An expression that returns something while enough of the group is healthy; templates as in verify.healthy"
    ),
    "diagnose": "What is looked at before the first step, and kept",
    "diagnose[].probe": "The probe's name",
    "diagnose[].with": "The probe's arguments",
    "diagnose[].timeout": "How long it may take; then it is left behind",
    "steps": "What is done, in order",
    "steps[].action": "The action's name",
    "steps[].with": "The action's arguments",
    "steps[].timeout": "How long it may take; then it is ended",
    "steps[].always": "Runs whenever the step before it began, as a start after a stop",
    "steps[].on_failure": "What follows when it fails: stop or continue",
    "steps[].unless_healed": "It waits for two samples newer than the step before and begins only if it is sick still",
    "steps[].undo": (
        "What it did is taken back when a later step fails or the verdict is worse; only for actions that can"
    ),
    "verify": "What proves it, or none: then its verdict is not_asked, never counted as success",
    "verify.healthy_for": "How long it must have been healthy without a break",
    "verify.within": "How long proof is awaited after the last effect",
    "verify.watch": "How long it is watched for coming back",
    "verify.healthy": (
        "An expression that returns something when all is well; needed where the alert's own cannot be judged"
    ),
    "verify.alive": "An expression that returns something while what was ended or restarted is alive",
    "otherwise": (
        "The ladder: playbooks that are tried, one after the other, when the attempts are used up; the last "
        "page_owner, which is people"
    ),
    "when": (
        "An expression that returns something while it is needed, where no rule of this Prometheus says so: "
        "alerts of Grafana or Loki, and what people run"
    ),
}
CONFIG: Mapping[str, str] = {
    "state": "Folder of the store, the pause file and the ballast; made with mode 0700",
    "prometheus": "The Prometheus that is asked for evidence",
    "prometheus.url": "The server's address, without user, password or query",
    "prometheus.basic_auth": "Basic authentication; excludes authorization",
    "prometheus.basic_auth.username": "The user",
    "prometheus.basic_auth.password_file": "Private file (mode 0600) with the password on one line",
    "prometheus.authorization": "Another Authorization header; excludes basic_auth",
    "prometheus.authorization.type": "The header's scheme",
    "prometheus.authorization.credentials_file": "Private file (mode 0600) with the credentials on one line",
    "prometheus.tls_config": "How the server proves itself, and we to it",
    "prometheus.tls_config.ca_file": "Authorities that are trusted, instead of the system's",
    "prometheus.tls_config.cert_file": "Our certificate; needs key_file",
    "prometheus.tls_config.key_file": "Our certificate's key; needs cert_file",
    "prometheus.tls_config.insecure_skip_verify": "Believe any certificate",
    "prometheus.headers": "Further headers, name and value; never credentials",
    "prometheus.scrape_interval": "As in prometheus.yml; the pace of judging, and three of it belong to every within",
    "prometheus.ignore_labels": (
        "Labels that delivered alerts may have and Prometheus's own lack, besides its external labels"
    ),
    "alertmanagers": "Any that is reachable is asked for silences; blind only when none answers",
    "receiver": "The receiver in alertmanager.yml that stands for us; reconciliation takes in what it has",
    "hosts": "This machine, by the name that locks, policy and history use; exactly one",
    "hosts.NAME.instances": (
        "Every instance label under which this machine is scraped; an alert of another one is denied"
    ),
    "playbooks": "Playbook files, one playbook each; * and ** may stand in a path, shipped stands for the shipped ones",
    "rules": "Rule files that selfheal check reads; list what Prometheus reads",
    "policy": "What this host permits; without it nothing is permitted",
    "process_config": "The exporter's process groups, in process-exporter's format; without it no process has a group",
    "protected": (
        "Paths that are never touched, whatever the policy says. state, this file, policy and process_config "
        "are protected always; add Prometheus's and Alertmanager's data"
    ),
    "highest_mode": "Nothing climbs above it: observe, approve or auto",
    "hook": "The credential of POST /hooks/alertmanager",
    "hook.token_file": (
        "Private file (mode 0600) of one token, or of two while one is rotated out, each at least 16 characters"
    ),
    "hook.hmac": "How Grafana signs what it delivers",
    "hook.hmac.secret_file": "Private file (mode 0600) with the secret, at least 16 characters",
    "hook.hmac.header": "Header of the signature",
    "hook.hmac.timestamp_header": "Header of the time; without it a delivery can be repeated by whoever saw it",
    "hook.hmac.tolerance": "How far the time may be from ours",
    "api": "The credential of /api/v1",
    "api.token_file": "As for the hook; another token. It may do everything, and the commands on this machine use it",
    "api.keys_file": (
        "Private file (mode 0600) of API keys with roles, written by selfheal key new; read again when it changes"
    ),
    "api.cors": "Origins (https://host[:port]) whose pages may use the API",
    "web_config_file": (
        "TLS, passwords, headers and a rate limit, in the form that the exporter's --web.config.file has; "
        "read again when it changes"
    ),
    "limits": "Limits that stand where a playbook names none, and over all playbooks",
    "limits.cooldown": "Rest of a target after an effect on it, by anyone; for playbooks that name none",
    "limits.rate": (
        "Remediations with effects, over all playbooks together; where it is written it also stands for "
        "playbooks that name no rate of their own"
    ),
    "monitoring": "From when on alerts are taken for a fault of the monitoring, and held",
    "monitoring.targets": "So many distinct instances whose alerts begin together; share counts too",
    "monitoring.share": "So large a share of the instances that were up within the last hour; targets counts too",
    "monitoring.within": "The time in which alerts of many instances begin together",
    "monitoring.scrape_gap": "Scrape intervals without a sample of the alert's own target, or of any; 0 asks for none",
    "monitoring.after_restart": "Time after a restart of Prometheus or a reload of its rules; 0s asks for neither",
    "breaker": "When circuit breakers open, one per playbook and one over all",
    "breaker.window": "How far back ended remediations count",
    "breaker.minimum": "Fewer ended remediations than these say nothing",
    "breaker.share": "The share of them that failed, did not help or came back",
    "breaker.open_for": "After this time one remediation may try",
    "repeats": "How often a playbook may heal the same target before it is left to people",
    "repeats.most": "So many proven heals within the window",
    "trust": "When a playbook loses its rung by itself, besides after a run that made things worse",
    "trust.not_fixed": "So many of its newest five judged runs that did not fix it; above 5 never",
    "repeats.window": "The time within which heals of one target are counted",
    "windows": "Maintenance windows: while one is open, nothing it covers begins",
    "windows[].name": "The window's name, which every hold tells",
    "windows[].cron": "When it opens: minute, hour, day of month, month, day of week",
    "windows[].for": "How long it stays open, in real time; less than the time until it opens again",
    "windows[].timezone": "The zone that cron is read in, as Europe/Berlin",
    "windows[].why": "What people are told",
    "windows[].playbooks": "Only these playbooks; *, ? and […] may stand in a name",
    "windows[].targets": "Only these targets, as web-*/service:*; with playbooks both must fit",
    "approval": "How people are asked, where a playbook is in mode approve",
    "approval.valid_for": "How long a request may be answered, and what was granted may begin",
    "approval.link_key_file": (
        "Private file (mode 0600) of one line, at least 32 characters, that links are signed with"
    ),
    "approval.url": "Where people reach the remediator; only with it there are links to requests",
    "reconcile": "How often open alerts are compared with what Alertmanager and Prometheus say",
    "retention": "How long ended remediations, closed alerts and events are kept",
    "watchdog": "The alert that always fires; when it stays away people are told without Alertmanager",
    "watchdog.alert": "The name of the alert that always fires",
    "watchdog.interval": (
        "How often it is delivered: the repeat_interval of its route. After three of them without a delivery "
        "people are told"
    ),
    "watchdog.notify": "Who hears of trouble with the remediator itself, besides the log, problems.json and systemd",
    "watchdog.notify.command": (
        "A name under commands in the policy: its start is run when something is wrong, its stop when it is over"
    ),
    "selftest": "The test of the whole way, from a rule to a proven remediation",
    "selftest.every": "How often it runs by itself; without it only selfheal selftest runs one",
}
POLICY: Mapping[str, str] = {
    "process_groups": "Groups of process_config whose members may be signalled; * stands for anything",
    "users": "Narrows process_groups to processes of which all users are among these; [] leaves none",
    "identities": (
        "Narrows process_groups to recorded processes: a JSON file with boot_id and processes (pid, start_ticks)"
    ),
    "roots": "Folders that may be cleaned, each with its rule",
    "roots.NAME.older_than": "The youngest file that may be removed",
    "roots.NAME.keep": "This many of the newest files always stay",
    "roots.NAME.floor": "This many bytes of files always stay",
    "commands": "Services (start, stop, status) and other commands (run) by name",
    "commands.NAME.start": "Program with its absolute path, and its arguments, that starts the service",
    "commands.NAME.stop": "Program with its absolute path, and its arguments, that stops the service",
    "commands.NAME.status": (
        "Program with its absolute path, and its arguments; exit code 0 says that the service is well"
    ),
    "commands.NAME.run": (
        "Program with its absolute path, and its arguments; {parameter} stands for that parameter's value"
    ),
    "commands.NAME.parameters": "What a playbook may give it; every one must be used in run",
    "commands.NAME.parameters.NAME.type": (
        "text, number (from 0 up), choice, group (one of process_groups) or root (one of roots)"
    ),
    "commands.NAME.parameters.NAME.of": "The choices, to the letter",
    "commands.NAME.parameters.NAME.pattern": "A regular expression that the whole text must match",
    "commands.NAME.parameters.NAME.at_least": "The smallest number",
    "commands.NAME.parameters.NAME.at_most": "The largest number",
    "commands.NAME.parameters.NAME.default": (
        "The value where a playbook gives none; without it the parameter is required"
    ),
    "commands.NAME.stdin": (
        "alert gives the command the alert as one line of JSON, plan the plan and the remediation's number with it, "
        "none gives nothing"
    ),
    "commands.NAME.read_only": "Your word that it changes nothing; only then a probe may run it",
    "commands.NAME.idempotent": (
        "Your word that running it twice does no more than once: what had to be ended has failed, not unknown"
    ),
    "commands.NAME.check": (
        "Program and arguments of the dry run, which must change nothing: exit code 0, there is something to do; 77, "
        "there is nothing"
    ),
    "commands.NAME.timeout": "After which it is ended with its process group; a step's shorter time holds",
    "units": "Units of systemd by name or pattern; .service, .timer, .socket and .path only",
    "units.NAME.verbs": "What may be done to the unit",
    "urls": "Places that may be asked: http://, https:// or tcp://HOST:PORT, each with what is below its path",
    "urls.NAME.methods": "Methods that may be used there",
    "urls.NAME.authorization_file": (
        "Private file (mode 0600) with the Authorization header on one line; over https:// or to this machine only"
    ),
    "silences": "Silences that may be made in Alertmanager",
    "silences.longest": "How long one may last at most",
    "ansible": "Playbooks of Ansible by name",
    "ansible.NAME.playbook": "The playbook's absolute path",
    "ansible.NAME.inventory": "An absolute path, or hosts with a comma (localhost,)",
    "ansible.NAME.limit": "Hosts or groups of the inventory",
    "ansible.NAME.parameters": "What a playbook may give it; they become extra variables",
    "ansible.NAME.timeout": "How long it may take; then it is ended",
    "ansible.NAME.idempotent": "As for commands",
    "ansible.NAME.check_mode": "Whether a dry run asks Ansible what it would change (--check --diff)",
    "programs": "Where programs stand that are started for units and ansible",
    "programs.systemctl": "Where systemctl stands",
    "programs.ansible_playbook": "Where ansible-playbook stands",
    "memory": "What may be done to the memory of the whole host",
    "memory.drop_caches": "Whether the page cache may be dropped; it seldom helps",
    "journal": "That old files of the systemd journal may be removed, and what of it always stays",
    "journal.floor": "This many bytes of each folder always stay",
    "journal.keep": "What was written within this time always stays",
    "journal.directory": "The folder of the journal, which holds one for each machine id",
    "programs.journalctl": "Where journalctl stands",
    "programs.git": "Where git stands",
    "scale": "Templates of systemd, as worker@.service, of which more or fewer numbered instances may run",
    "scale.NAME.min": "This many always run",
    "scale.NAME.max": "Never more than this many run, and none has a higher number",
    "scale.NAME.step": "Instances that one step may start or stop",
    "scale.NAME.cooldown": "Rest after an instance was started or stopped, before their number may change again",
    "work_trees": "Work trees of git whose uncommitted work may be kept, by path",
    "work_trees.NAME.name": "What the exporter's workspaces: calls it, so that an alert can name it",
    "work_trees.NAME.safe": "Patterns of what git.commit_safe may commit; none is nothing",
    "work_trees.NAME.never": "Patterns of what is left out of every commit",
    "work_trees.NAME.largest_file": "A longer file is left out of every commit",
    "work_trees.NAME.branch": "The side branch; it begins with selfheal/",
    "work_trees.NAME.author": "Whose name the commits bear",
    "work_trees.NAME.checkpoints": "How many checkpoints are kept; 0 permits none",
    "containers": "The container engine of this host",
    "containers.socket": "Where it listens",
    "containers.names": "Containers by name or pattern",
    "containers.names.NAME.verbs": "What may be done to the container",
    "supervisor": "The supervisord of this host",
    "supervisor.socket": "Where it listens: file of its [unix_http_server]; this or url",
    "supervisor.url": "The same on loopback: http://127.0.0.1:PORT",
    "supervisor.credentials_file": "A private file (mode 0600) of one line, user:password",
    "supervisor.programs": "Programs by name (group:program in a group of another name) or pattern",
    "supervisor.programs.NAME.verbs": "What may be done to the program",
}

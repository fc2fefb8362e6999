"""The dashboard: built from plain dicts, committed as JSON, provisioned from files. Nothing here talks to Grafana."""

"""Grafana as code: the dashboards, and the provisioning tree that shows them in a Grafana."""

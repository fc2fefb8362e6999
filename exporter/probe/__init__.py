"""Asks services as their users do, over HTTP, TCP, TLS, DNS or ICMP; knows no metric names."""

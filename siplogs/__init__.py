"""Reads Asterisk and FreeSWITCH logs, explains every SIP failure, and indexes it all into Elasticsearch."""

__version__ = "0.1.0"

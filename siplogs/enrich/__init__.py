"""Record and message to document: time, redaction, fields, meaning."""

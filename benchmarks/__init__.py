"""Speed, memory and start-up of siplogs, measured side by side with public tools: `python -m benchmarks`."""

"""Every message of the captures is found in the logs, with the right Call-ID, method or code, CSeq, peer and time.

`differences.json` holds the messages on which log and capture rightly differ, each group with its reason: the PBX
dropped a message before its logger, discarded log entries, logged another address than it sent to, or tshark reads a
malformed message otherwise. It is rewritten by `python -m tests.corpus.test_truth` and reviewed as a diff.
"""

import json
from pathlib import Path

import pytest

from tests.corpus.truth import CORPUS, Comparison, compare

DIFFERENCES = CORPUS / "differences.json"
LOGS = sorted(
    log for log in CORPUS.glob("*/*.log.xz") if log.with_name(log.name.replace(".log.", ".truth.ndjson.")).exists()
)


def tolerance(log: Path) -> float:
    """Seconds between log and wire: Asterisk's default dateformat cuts to the second, its logger queues entries."""
    if "chan_sip-mixed" in log.name or "pjsip-mixed" in log.name or ("asterisk" in log.name and "codes" in log.name):
        return 1.05
    return 0.1


def listed(comparison: Comparison) -> dict[str, list[list[str]]]:
    return {
        "missing": sorted(list(seen) for seen in comparison.missing),
        "invented": sorted(list(seen) for seen in comparison.invented),
    }


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name.removesuffix(".log.xz"))
def test_log_agrees_with_capture(log: Path) -> None:
    comparison = compare(log)
    known = json.loads(DIFFERENCES.read_text(encoding="utf-8")).get(log.name, {"missing": [], "invented": []})

    found = listed(comparison)

    assert comparison.matched > 30
    assert found["missing"] == known["missing"]
    assert found["invented"] == known["invented"]
    assert comparison.latest <= tolerance(log)


def rewrite() -> None:
    """Write what differs now, keeping each file's reason."""
    known = json.loads(DIFFERENCES.read_text(encoding="utf-8")) if DIFFERENCES.exists() else {}
    changed = {}
    for log in LOGS:
        found = listed(compare(log))
        if any(found.values()):
            changed[log.name] = {"why": known.get(log.name, {}).get("why", "explain this"), **found}
    DIFFERENCES.write_text(json.dumps(changed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite()

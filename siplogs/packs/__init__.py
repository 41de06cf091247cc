"""The pattern-pack engine: loads packs, recognises dialects, finds and frames records."""

from siplogs.packs.accounting import Accounting
from siplogs.packs.carriers import recognise, unwrap
from siplogs.packs.check import check_packs, require_proof
from siplogs.packs.dialect import recognise_products, split_points
from siplogs.packs.literals import Literals
from siplogs.packs.pack import Pack, load_packs
from siplogs.packs.scanner import Scanner
from siplogs.packs.stream import RecordStream
from siplogs.packs.trial import Trial, trial

__all__ = [
    "Accounting",
    "Literals",
    "Pack",
    "RecordStream",
    "Scanner",
    "Trial",
    "check_packs",
    "load_packs",
    "recognise",
    "recognise_products",
    "require_proof",
    "split_points",
    "trial",
    "unwrap",
]

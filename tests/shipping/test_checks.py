"""What the doctor says of Kibana and of the state, link by link."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kibana_stand_in import KNOWN, Kibana, basic, error

from siplogs.config import DeliverySettings, ElasticsearchSettings, KibanaSettings, Settings
from siplogs.errors import DeliveryError
from siplogs.shipping import kibana
from siplogs.shipping.access import Shipper, shipper
from siplogs.shipping.checks import Finding, check_kibana, check_state
from siplogs.shipping.state import Place, Pulse, State

NOW = 2e9


@pytest.fixture(params=sorted(KNOWN))
def running(request: pytest.FixtureRequest) -> Iterator[Kibana]:
    with Kibana(request.param) as stand_in:
        yield stand_in


def settings(url: str, **more: Any) -> Settings:
    return Settings(kibana=KibanaSettings(url=url, **more), elasticsearch=ElasticsearchSettings())


def told(found: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    return {one.link: (one.verdict, one.text) for one in found}


@pytest.mark.parametrize("space", ["default", "sip"])
def test_views_that_are_missing_are_named_until_they_are_there(running: Kibana, space: str) -> None:
    running.spaces.add(space)
    wanted = settings(running.url, space=space)
    version, gone = kibana.missing(wanted)
    assert version == running.version
    assert gone == [f"{one['type']} {one['id']}" for one in kibana.objects(space)]
    found = told(check_kibana(wanted))
    assert found["kibana"][0] == "ok"
    assert found["views"] == (
        "broken",
        f"Kibana {version} lacks {', '.join(gone)}; run siplogs setup --kibana {running.url}",
    )
    list(kibana.install(wanted))
    assert kibana.missing(wanted) == (version, [])
    assert told(check_kibana(wanted))["views"] == ("ok", f"Kibana {version} has them all")
    del running.stored[space, gone[-1].split()[0], gone[-1].split()[1]]
    assert kibana.missing(wanted)[1] == gone[-1:]


def test_a_space_that_is_not_there(running: Kibana) -> None:
    with pytest.raises(DeliveryError, match="has no space sip"):
        kibana.missing(settings(running.url, space="sip"))


def test_credentials_that_kibana_refuses(running: Kibana) -> None:
    running.authorization = basic("elastic", "right")
    wanted = Settings(
        kibana=KibanaSettings(url=running.url),
        elasticsearch=ElasticsearchSettings(username="elastic", password="wrong"),
    )
    verdict, text = told(check_kibana(wanted))["views"]
    assert verdict == "broken"
    assert "refuses the credentials (401)" in text


def test_kibana_is_not_asked_for_without_an_address() -> None:
    assert [(one.link, one.verdict) for one in check_kibana(Settings())] == [("kibana", "ok")]


def test_views_that_the_key_may_not_see_are_no_break() -> None:
    class Closed(Kibana):
        def exporting(self, space: str, wanted: dict[str, Any]) -> tuple[int, Any]:
            return 403, error(403, "Forbidden", "Unable to bulk_get dashboard")

    with Closed() as stand_in:
        verdict, text = told(check_kibana(settings(stand_in.url)))["views"]
    assert verdict == "warning"
    assert text.startswith("not looked at, and shipping needs not: ")
    assert "Unable to bulk_get dashboard" in text


def delivery(folder: Path) -> Settings:
    kept = DeliverySettings(dead_letters=str(folder / "dead.ndjson"), state=str(folder / "state.db"))
    return Settings(delivery=kept)


def test_a_state_that_nobody_moved_for_days_and_bytes_that_were_lost(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        state.save([Place("/f", "a", whole=True, lost=5, last_seen=NOW - 5 * 86_400 - 9, lost_at=NOW - 86_400)])
    found = list(check_state(delivery(tmp_path), me(tmp_path), NOW))
    assert [one.verdict for one in found if one.link == "shipping"] == ["warning", "warning"]
    assert found[1].text.startswith("5 bytes of logs were deleted before they were read")
    assert "nothing was shipped for 5 d; start siplogs tail" in found[2].text
    later = [one.text for one in check_state(delivery(tmp_path), me(tmp_path), NOW + 6 * 86_400 + 1)]
    assert "bytes of logs" not in str(later)
    with State(tmp_path / "state.db", purpose="siplogs tail"):
        found = list(check_state(delivery(tmp_path), me(tmp_path), NOW))
        assert "(siplogs tail) works on it" in found[0].text
        assert "nothing was shipped" not in str(found)


def test_a_daemon_that_was_not_heard_of_for_hours_is_a_broken_link(tmp_path: Path) -> None:
    with State(tmp_path / "state.db", purpose="siplogs tail") as state:
        for ago, verdict in ((60, "ok"), (3 * 3600, "broken")):
            state.beat(Pulse(process=os.getpid(), started=NOW - 9e4, beat=NOW - ago, passed=NOW - ago))
            (found,) = [one for one in check_state(delivery(tmp_path), me(tmp_path), NOW) if one.link == "shipping"]
            assert found.verdict == verdict
    assert (
        "(siplogs tail) was not heard of for 3 h; see journalctl -u siplogs-tail and the disk of the state"
        in found.text
    )


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = list(check_state(delivery(tmp_path / "file"), me(tmp_path), NOW))
    assert [(one.link, one.verdict) for one in found] == [("state", "broken"), ("dead letters", "broken")]
    assert all("is a file where a folder is meant" in one.text for one in found)


def me(folder: Path) -> Shipper:
    return shipper(folder / "state.db")

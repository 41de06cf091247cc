"""How long delivery waits before it tries again."""

from siplogs.shipping.delivery import pause_after


def test_pauses_grow_to_a_minute_and_are_left_to_chance() -> None:
    for failures, longest in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10_000, 60)):
        pauses = [pause_after(failures, None) for _ in range(200)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
        assert max(pauses) - min(pauses) > longest / 4


def test_no_pause_is_shorter_than_what_the_server_wishes_up_to_ten_minutes() -> None:
    for failures in (1, 4, 20):
        assert pause_after(failures, 100.0) == 100.0
        assert pause_after(failures, 86_400.0) == 600.0
        assert 0.5 <= pause_after(failures, 0.0) <= 60

"""Work beside its reader: order, errors, and that the one who hands over is asked for a sign of life."""

import threading

import pytest

from siplogs.shipping.alongside import Alongside, Control


def alongside(work: object, **more: object) -> "Alongside[int, int]":
    given = {"width": 2, "done": lambda piece, result: None, "told": None, "meanwhile": None, **more}
    return Alongside(work, Control(), **given)  # type: ignore[arg-type]


def test_results_come_in_order_however_long_each_takes() -> None:
    second = threading.Event()
    found: list[tuple[int, int]] = []

    def work(piece: int) -> int:
        if piece == 0:
            second.wait()
        second.set()
        return piece * 2

    with alongside(work, done=lambda piece, result: found.append((piece, result))) as running:
        for piece in range(5):
            running.hand_over(piece)
        running.wait()
    assert found == [(0, 0), (1, 2), (2, 4), (3, 6), (4, 8)]


def test_meanwhile_is_called_with_each_piece_also_when_nothing_is_waited_for() -> None:
    """A reader that is slower than the server never waits, and lives all the same."""
    ended = threading.Semaphore(0)
    signs: list[int] = []

    def work(piece: int) -> int:
        ended.release()
        return piece

    with alongside(work, meanwhile=lambda: signs.append(1)) as running:
        for piece in range(10):
            running.hand_over(piece)
            assert len(signs) > piece
            ended.acquire()
        running.wait()


def test_what_the_work_raises_comes_after_what_was_done_before() -> None:
    found: list[int] = []

    def work(piece: int) -> int:
        if piece == 2:
            raise ValueError("two")
        return piece

    def hand_over() -> None:
        with alongside(work, done=lambda piece, result: found.append(piece)) as running:
            for piece in range(5):
                running.hand_over(piece)
            running.wait()

    with pytest.raises(ValueError, match="two"):
        hand_over()
    assert found == [0, 1]

"""The bytes of files: kept piece by piece until their part is on screen, and no longer."""

from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import FileId, KeptFile, RowId
from tgbot.store import files, interrupted, sending

PIECES = [bytes([number]) * 10 for number in range(2 * files.DISCARDED_MAX + 1)]


def keep(instance: Instance, row_id: RowId, *pieces: bytes) -> FileId:
    file_id = instance.do(files.begin, row_id)
    for number, piece in enumerate(pieces or [b"x"]):
        instance.do(files.add, file_id, number, piece)
    return file_id


def answer(instance: Instance) -> FileId:
    """Answer with a file."""
    turn = instance.start("a")
    file_id = keep(instance, turn.row_id)
    instance.answer(turn, KeptFile("a.bin", file_id))
    return file_id


def read(instance: Instance, file_id: FileId) -> list[bytes]:
    numbers = range(len(PIECES) + 1)
    pieces = (instance.do(files.piece, file_id, number) for number in numbers)
    return [piece for piece in pieces if piece is not None]


def discard_unused(instance: Instance) -> int:
    """Discard what nobody needs; returns in how many transactions."""
    steps = 0
    while instance.do(files.discard_unused):
        steps += 1
    return steps


def test_a_file_is_read_as_it_was_kept_piece_by_piece(instance: Instance) -> None:
    row_id = instance.start("a").row_id
    file_id, other = keep(instance, row_id, *PIECES), keep(instance, row_id, b"other")
    assert read(instance, file_id) == PIECES
    assert read(instance, other) == [b"other"]


def test_a_large_file_is_discarded_in_several_transactions(instance: Instance) -> None:
    file_id = keep(instance, instance.start("a").row_id, *PIECES)
    assert [instance.do(files.discard, file_id) for _ in range(3)] == [True, True, False]
    assert instance.rows("SELECT (SELECT count(*) FROM file), (SELECT count(*) FROM file_piece)") == [(0, 0)]


def test_a_file_is_kept_until_its_part_is_on_screen(instance: Instance) -> None:
    file_id = answer(instance)
    assert discard_unused(instance) == 0
    instance.do(interrupted.lost, instance.the_next())
    assert discard_unused(instance) == 0, "it may have to be sent again"
    instance.do(sending.sent, instance.the_next(), new_id())
    assert discard_unused(instance) > 0
    assert read(instance, file_id) == []


def test_a_file_that_was_parked_is_kept(instance: Instance) -> None:
    answer(instance)
    instance.do(sending.park, instance.the_next(), "refused")
    assert discard_unused(instance) == 0


def test_what_a_process_kept_for_an_ending_that_it_never_wrote_is_gone_when_its_row_has_ended(
    start_instance: StartInstance,
) -> None:
    crashed = start_instance()
    orphan = keep(crashed, crashed.start("a").row_id, *PIECES)
    instance = start_instance()
    instance.recover()
    assert discard_unused(instance) == 0, "what a tool gave is found again by the next attempt"
    [turn] = instance.claim_waiting()
    again = keep(instance, turn.row_id)
    assert discard_unused(instance) == 0, "nobody knows which of them the ending will name"
    instance.answer(turn, KeptFile("a.bin", again))
    assert discard_unused(instance) == 3
    assert (read(instance, orphan), read(instance, again)) == ([], [b"x"])


def test_what_a_turn_keeps_that_was_stopped_meanwhile_stays_until_it_has_ended(instance: Instance) -> None:
    """Also while another worker looks for what nobody needs."""
    turn = instance.start("a")
    file_id = keep(instance, turn.row_id)
    instance.say("/stop")
    assert discard_unused(instance) == 0
    instance.answer(turn, KeptFile("a.bin", file_id))
    assert discard_unused(instance) == 0
    assert read(instance, file_id) == [b"x"]


def test_without_files_there_is_nothing_to_discard(instance: Instance) -> None:
    assert discard_unused(instance) == 0

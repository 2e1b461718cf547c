"""What people, agents and processes do in random histories, and what the model expects of it."""

from collections.abc import Callable  # noqa: TC003 - Hypothesis reads the annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.house import raw_message
from tests.store.history_model import CHATS, CRASHES_MAX, Model
from tests.store.instance import pressed
from tgbot.model import Turn  # noqa: TC001 - as above
from tgbot.store.fence import LostGuardError
from tgbot.store.leads import TOGETHER_MAX
from tgbot.store.outbox import GIVEN_UP, STOPPED
from tgbot.store.schema import FRONT


class Histories(Model):
    """The core: messages, albums, /stop, /resume, /drop, deaths."""

    # What people do

    @rule(chat=st.sampled_from(CHATS))
    def say(self, chat: int, **more: str) -> None:
        number, session = self.next_number(), self.sessions[chat]
        if self.take(session, number) and more:
            session.album = number
            self.albums.add(number)
            self.waiting.add(number)
        self.receive(raw_message(number, str(number), chat, date=10 * number, **more))
        if session.mode == "interrupt" and number in session.queued:
            self.stop_running(session)

    @rule(chat=st.sampled_from(CHATS))
    def send_a_part_of_an_album(self, chat: int) -> None:
        album = self.sessions[chat].album
        if album is None or album in self.ends or len(self.joined.get(album, [])) + 1 == TOGETHER_MAX:
            self.say(chat, media_group_id="g")
            return
        number = self.next_number()
        self.leads[number] = album
        self.joined.setdefault(album, []).append(number)
        self.waiting.add(album)
        complete = len(self.joined[album]) + 1 == TOGETHER_MAX
        if complete:
            self.waiting.discard(album)
        self.end(number, "joined", None)
        self.receive(raw_message(number, str(number), chat, media_group_id="g"))
        if complete and self.recovered:  # it waits no longer, and the dispatcher was woken
            self.begin_turns(self.instance.claim_waiting())

    @rule(chat=st.sampled_from(CHATS), words=st.booleans())
    def stop(self, chat: int, *, words: bool) -> None:
        """Words behind a /stop are a message of their own that follows it."""
        number, session = self.next_number(), self.sessions[chat]
        self.stop_running(session)
        held, session.queued = session.queued, []
        session.held |= dict.fromkeys(held, 0)  # by this /stop, whose row is not known yet
        if words:
            self.take(session, number)
        self.receive(raw_message(number, f"/stop {number}" if words else "/stop", chat, date=10 * number))
        [(row_id,)] = self.instance.rows("SELECT max(id) FROM pending WHERE kind = 'control'")
        session.held |= dict.fromkeys(held, row_id)

    @rule(chat=st.sampled_from(CHATS))
    def resume(self, chat: int) -> None:
        self.resume_held(chat, lambda _: True)
        self.receive(raw_message(self.next_number(), "/resume", chat))

    @rule(chat=st.sampled_from(CHATS))
    def drop(self, chat: int) -> None:
        self.drop_held(chat, lambda _: True)
        self.receive(raw_message(self.next_number(), "/drop", chat))

    @precondition(lambda self: self.held_by())
    @rule(data=st.data(), resume=st.booleans())
    def press(self, data: st.DataObject, *, resume: bool) -> None:
        """A button of any /stop, pressed in any chat, reaches only the rows of its own /stop."""
        stop_id, chat = data.draw(st.sampled_from(self.held_by())), data.draw(st.sampled_from(CHATS))
        (self.resume_held if resume else self.drop_held)(chat, lambda held_by: held_by == stop_id)
        name = "resume" if resume else "drop"
        self.receive(pressed(self.next_number(), f"{name}:{stop_id}", chat=chat))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """Telegram repeats what was not confirmed: it has no effect."""
        again = self.instance.receive(*self.sent[data.draw(st.integers(0, len(self.sent) - 1)) :])
        assert (again.claimed, again.waiting, again.controls, again.replied) == ([], [], [], set())

    # What agents do

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), fails=st.booleans())
    def turn_ends(self, data: st.DataObject, *, fails: bool) -> None:
        session = data.draw(st.sampled_from(self.busy()))
        turn, number = session.running, self.message(session.running)
        if number not in self.ends:
            self.end(number, *(("failed", "sorry") if fails else ("done", f"re: {number}")))
        else:  # a /stop was first: what was said stays
            said = "sorry" if fails else f"re: {number}"
            self.shown[number] = f"{said}\n\n{STOPPED.text}"
        self.hand_over(
            session, self.instance.fail(turn) if fails else self.instance.finish(turn, f"re: {number}")
        )

    @precondition(lambda self: any(self.was_stopped(s) for s in self.busy()))
    @rule(data=st.data())
    def stopped_turn_is_released(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from([s for s in self.busy() if self.was_stopped(s)]))
        self.mark_stopped(session)
        self.hand_over(session, self.instance.release(session.running))

    @precondition(lambda self: any(not self.was_stopped(s) for s in self.busy()))
    @rule(data=st.data())
    def first_words_are_shown(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from([s for s in self.busy() if not self.was_stopped(s)]))
        turn, number = session.running, self.message(session.running)
        self.instance.send_all(turn.chat_id)
        part = self.instance.begin(turn, "first words")
        assert (part is None) == self.has_words(number), "a second attempt finds those of the first"
        if part:
            self.instance.sent(part)
            self.shown[number] = "first words"

    @rule(chat=st.sampled_from(CHATS))
    def all_is_sent(self, chat: int) -> None:
        self.instance.send_all(chat)

    # What happens to processes, and to time

    @rule()
    def time_passes(self) -> None:
        self.waiting.clear()
        self.begin_turns(self.instance.due())

    @rule()
    def die(self) -> None:
        """SIGKILL; the next instance begins, and may hear of people before it has recovered."""
        self.stale += [(self.instance, session.running) for session in self.busy()]
        for session in self.busy():
            session.orphan = True
        for session in self.sessions.values():
            session.full = False
        self.recovered = False
        self.start_instance()
        waiting = [n for s in self.sessions.values() for n in (*s.queued, *s.held)]
        self.waiting |= {n for n in waiting if n in self.albums | self.pastes and n not in self.attempts}

    @rule()
    def recover(self) -> None:
        self.instance.recover()
        for session in [s for s in self.sessions.values() if s.orphan]:
            self.mark_stopped(session)
            number, session.running, session.orphan = self.message(session.running), None, False
            if number in self.ends:
                continue
            self.crashes[number] = self.crashes.get(number, 0) + 1
            if self.crashes[number] < CRASHES_MAX:
                self.places[number] = FRONT
                self.enqueue(session, number)
            else:
                self.end(number, "dead", GIVEN_UP.text)
        self.recovered = True
        self.begin_turns(self.instance.claim_waiting())

    @precondition(lambda self: self.stale and self.recovered)
    @rule(data=st.data())
    def stale_owner_writes(self, data: st.DataObject) -> None:
        instance, turn = data.draw(st.sampled_from(self.stale))
        ending: Callable[[Turn], object] = data.draw(
            st.sampled_from([instance.finish, instance.fail, instance.release])
        )
        with pytest.raises(LostGuardError):
            ending(turn)

    def teardown(self) -> None:
        """At the end, every message gets its ending."""
        if self.instances:
            self.recover()
            for chat in CHATS:
                self.resume(chat)
            self.time_passes()
            while busy := self.busy():
                number = self.message(busy[0].running)
                if number not in self.ends:
                    self.end(number, "done", f"re: {number}")
                self.hand_over(busy[0], self.instance.finish(busy[0].running, f"re: {number}"))
            self.every_message_is_where_the_model_has_it_and_ends_once()
            assert set(self.ends.values()) <= {"done", "failed", "stopped", "dead", "dropped", "joined"}
        self.ending.close()

"""What people do to a queue in random histories: modes, edits, the card and its buttons."""

from typing import get_args

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.house import raw_message
from tests.store.history_model import CHATS, Session
from tests.store.history_rules import Histories
from tests.store.instance import key, pressed
from tgbot.intake.commands.edit import OFFERS
from tgbot.model import Mode, Raw, RowId
from tgbot.store import card, joins
from tgbot.store.edits import RUNNING_AGAIN
from tgbot.store.quote import QUOTE_CHARACTERS
from tgbot.store.schema import FRONT

LONG = "words " * 500
BUTTONS = ("drop", "next", "now", "drop_all", "run_held")
CARD = "SELECT text FROM outbox WHERE kind = 'card' AND chat_id = :chat"


class Conduct(Histories):
    """The core, and what people do to it. A button may be pressed long after it was drawn, in any chat."""

    @rule(chat=st.sampled_from(CHATS), mode=st.sampled_from(get_args(Mode)))
    def choose_mode(self, chat: int, mode: str) -> None:
        self.sessions[chat].mode = mode
        self.receive(raw_message(self.next_number(), f"/mode {mode}", chat))

    @precondition(lambda self: any(not self.was_stopped(s) for s in self.busy()))
    @rule(data=st.data())
    def agent_takes_in_what_came(self, data: st.DataObject) -> None:
        """Between two steps of a turn; what a dead instance took in is given to the next attempt, too."""
        session = data.draw(st.sampled_from([s for s in self.busy() if not self.was_stopped(s)]))
        lead = self.message(session.running)
        if session.mode == "steer":
            self.take_along(session, lead, self.taken)
        found = self.instance.do(joins.incoming, session.running, RowId(0))
        assert [row.row_id for row in found] == [self.row_of(one) for one in self.taken.get(lead, [])]

    # Long texts

    @rule(chat=st.sampled_from(CHATS), long=st.booleans())
    def send_a_piece_of_a_text(self, chat: int, *, long: bool) -> None:
        """A piece that is not long is the last one; by itself it would be any message."""
        session = self.sessions[chat]
        lead = session.text
        if lead is None or not self.waits_for_more(session, lead):
            self.begin_a_long_text(chat, session)
            return
        number = self.next_number()
        self.texts[number] = f"{number} {LONG if long else ''}"
        self.leads[number] = lead
        self.joined.setdefault(lead, []).append(number)
        self.end(number, "joined", None)
        self.receive(raw_message(number, self.texts[number], chat, date=10 * lead))
        if long:
            self.waiting.add(lead)
        else:
            self.waiting.discard(lead)
            session.text = None
            if self.recovered:
                self.begin_turns(self.instance.claim_waiting())

    def begin_a_long_text(self, chat: int, session: Session) -> None:
        number = self.next_number()
        self.texts[number] = f"{number} {LONG}"
        if self.take(session, number):
            session.text = number
            self.pastes.add(number)
            self.waiting.add(number)
        self.receive(raw_message(number, self.texts[number], chat, date=10 * number))
        if session.mode == "interrupt" and number in session.queued:
            self.stop_running(session)

    def waits_for_more(self, session: Session, lead: int) -> bool:
        waits = lead in session.queued or lead in session.held
        return waits and lead not in self.attempts and all(number <= lead for number in session.queued)

    # The card

    @rule(chat=st.sampled_from(CHATS))
    def card_is_drawn(self, chat: int) -> None:
        self.instance.do(card.refresh, key(chat))
        self.card_lists_what_waits(chat)

    @rule(chat=st.sampled_from(CHATS))
    def card_is_asked_for(self, chat: int) -> None:
        self.receive(raw_message(self.next_number(), "/queue", chat))
        self.card_lists_what_waits(chat)

    @precondition(lambda self: self.stored())
    @rule(data=st.data(), chat=st.sampled_from(CHATS), name=st.sampled_from(BUTTONS))
    def press_on_card(self, data: st.DataObject, chat: int, name: str) -> None:
        """One in a chat to which its row does not belong does nothing."""
        number = data.draw(st.sampled_from(self.stored()))
        here = self.chat_of(number) == chat
        if here:
            self.change_queue(chat, name, number)
        self.receive(pressed(self.next_number(), f"queue_{name}:{self.row_of(number)}", chat=chat))
        if here:
            self.card_lists_what_waits(chat)

    def change_queue(self, chat: int, name: str, number: int) -> None:
        session = self.sessions[chat]
        waits = [*session.queued, *session.held]
        if name == "run_held":
            self.resume_held(chat, lambda _: True)
        elif name == "drop_all":
            for one in waits:
                self.drop_waiting(session, one)
        elif number in waits and name == "drop":
            self.drop_waiting(session, number)
        elif number in waits:
            self.put_first(session, number)
            if name == "now":
                self.stop_running(session)

    # Edits

    @precondition(lambda self: self.stored())
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        message_id = self.message_id(data.draw(st.sampled_from(self.stored())))
        number = max(one for one in self.stored() if self.message_id(one) == message_id)
        edit, chat = self.next_number(), self.chat_of(number)
        lead = self.leads.get(number, number)
        ended = "ended" if lead in self.ends else "runs"
        if lead in self.pastes and lead in self.attempts:
            return  # what is offered then is the whole text
        for session in self.sessions.values():
            session.text = None if session.text == lead else session.text  # it is not cut any more
        what = ended if lead in self.attempts else self.ends.get(lead, "waits")
        if what == "waits" or number in self.offered or (what == "dropped" and lead != number):
            self.texts[number] = f"{number} edited by {edit}"
        else:
            self.texts[edit] = f"{edit} edits {number}"
            self.offers[edit] = lead
            self.offered.add(edit)
            self.message_ids[edit] = message_id
            self.end(edit, "dropped", OFFERS[what][0])
        self.receive(
            edited(edit, message_id, self.texts.get(number if edit not in self.offers else edit, ""), chat)
        )

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def run_an_edit(self, data: st.DataObject) -> None:
        edit = data.draw(st.sampled_from(sorted(self.offers)))
        original, session = self.offers[edit], self.sessions[self.chat_of(edit)]
        still_runs = (
            bool(session.running) and self.message(session.running) == original and original not in self.ends
        )
        if edit in self.offered and (still_runs or self.has_room(session)):
            self.offered.discard(edit)
            del self.ends[edit]
            self.shown[edit] = RUNNING_AGAIN.text
            if still_runs:
                self.places[edit] = FRONT
                self.stop_running(session)
            self.enqueue(session, edit)
        data_ = f"again:{self.row_of(edit)}:{self.row_of(original)}"
        self.receive(pressed(self.next_number(), data_, chat=self.chat_of(edit)))

    # The model

    def card_lists_what_waits(self, chat: int) -> None:
        session = self.sessions[chat]
        held = sorted(session.held)
        waits = [self.quoted(one) for one in session.queued]
        mark = " (on hold)" if waits else ""
        waits += [f"{self.quoted(one)}{mark}" for one in held]
        shown = [text.split("\n")[1:] for (text,) in self.instance.rows(CARD, chat=chat)]
        assert shown == ([[f"{n}. {one}" for n, one in enumerate(waits, start=1)]] if waits else [])

    def quoted(self, number: int) -> str:
        text = self.texts[number]
        return f"“{text}”" if len(text) <= QUOTE_CHARACTERS else f"“{text[: QUOTE_CHARACTERS - 1]}…”"

    def drop_waiting(self, session: Session, number: int) -> None:
        self.take_out(session, number)
        self.waiting.discard(number)
        self.end_dropped(number)

    def put_first(self, session: Session, number: int) -> None:
        places = [self.places.get(one, 0) for one in session.queued]
        place = min((place for place in places if place != FRONT), default=0) - 1
        self.take_out(session, number)
        self.places[number] = place
        self.enqueue(session, number)

    @staticmethod
    def take_out(session: Session, number: int) -> None:
        if session.held.pop(number, None) is None:
            session.queued.remove(number)

    def message_id(self, number: int) -> int:
        return self.message_ids.get(number, number)

    def stored(self) -> list[int]:
        """List the messages that people sent, not the commands."""
        return sorted(self.where())

    def chat_of(self, number: int) -> int:
        [(chat,)] = self.instance.rows("SELECT chat_id FROM pending WHERE update_id = :n", n=number)
        return int(chat)


def edited(update_id: int, message_id: int, text: str, chat: int) -> Raw:
    """Make the update of an edited message."""
    raw = raw_message(message_id, text, chat)
    return {"update_id": update_id, "edited_message": {**raw["message"], "edit_date": 2}}

import logging
import re

import pytest

from drivers.errors import LinkClosed, LinkTimeout, ReplyError, StateError
from drivers.line import Line

IDN = ("*IDN?", "LSCI,MODEL336,LSA24K7/2136045,2.9")
NUMBER = re.compile(r"[+-]\d+\.\d+")


def test_a_question_is_answered_without_its_terminators(scripted, clock):
    line = Line("cryostat", scripted(("KRDG? A", "+077.350\r")), clock)

    assert line.ask("KRDG? A", NUMBER) == "+077.350"
    assert line.anomalies == 0


def test_the_pacing_is_kept_after_messages_and_after_replies(scripted, clock):
    link = scripted(("SETP 1,10", None), ("SETP? 1", "+010.000"), ("SETP? 1", "+010.000"))
    line = Line("cryostat", link, clock, pacing_s=0.05)

    line.tell("SETP 1,10")
    line.ask("SETP? 1")
    clock.wait(0.02)
    line.ask("SETP? 1")

    assert [time for time, _ in link.sent] == pytest.approx([0.0, 0.05, 0.10])


def test_a_garbled_reply_is_asked_again_after_a_resynchronisation(scripted, clock):
    link = scripted(("KRDG? A", "+07?.350"), IDN, ("KRDG? A", "+077.350"))
    line = Line("cryostat", link, clock)

    assert line.ask("KRDG? A", NUMBER) == "+077.350"
    assert (link.resets, line.anomalies) == (1, 1)


def test_a_truncated_reply_is_asked_again(scripted, clock):
    line = Line("cryostat", scripted(("KRDG? A", "+077."), IDN, ("KRDG? A", "+077.350")), clock)

    assert line.ask("KRDG? A", NUMBER) == "+077.350"


def test_a_reply_that_comes_after_its_timeout_never_answers_the_next_question(scripted, clock):
    link = scripted(("KRDG? A", None), IDN, ("KRDG? B", "+004.200"))
    line = Line("cryostat", link, clock)
    with pytest.raises(LinkTimeout, match=r"cryostat: no reply to 'KRDG\? A' in 0.5 s"):
        line.ask("KRDG? A", NUMBER, retries=0)

    link.replies.append(b"+077.350")

    assert line.ask("KRDG? B", NUMBER) == "+004.200"


def test_a_duplicated_reply_is_noticed_before_the_next_question(scripted, clock, caplog):
    link = scripted(("KRDG? A", "+077.350"), IDN, ("KRDG? B", "+004.200"))
    line = Line("cryostat", link, clock)
    line.ask("KRDG? A", NUMBER)
    link.replies.append(b"+077.350")

    with caplog.at_level(logging.WARNING):
        assert line.ask("KRDG? B", NUMBER) == "+004.200"

    assert "came unasked" in caplog.text


def test_a_question_is_asked_four_times_at_most(scripted, clock):
    question = ("KRDG? A", "nonsense")
    line = Line("cryostat", scripted(question, IDN, question, IDN, question, IDN, question), clock)

    with pytest.raises(ReplyError, match="nonsense"):
        line.ask("KRDG? A", NUMBER)


def test_an_instrument_that_does_not_even_say_its_name_is_not_asked_again(scripted, clock):
    line = Line("cryostat", scripted(("KRDG? A", None), ("*IDN?", None)), clock)

    with pytest.raises(LinkTimeout, match="no identity"):
        line.ask("KRDG? A", NUMBER)

    assert clock.now() == pytest.approx(2.5)  # timeout, silence of three more, identity


def test_replies_before_the_identity_are_dropped(scripted, clock):
    link = scripted(("KRDG? A", None), IDN, ("KRDG? A", "+077.350"))
    line = Line("cryostat", link, clock)
    original = link.reset
    link.reset = lambda: (original(), link.replies.extend([b"+001.000", b"+002.000"]))

    assert line.ask("KRDG? A", NUMBER) == "+077.350"


def test_an_instrument_that_never_falls_silent_is_given_up(scripted, clock):
    link = scripted(("KRDG? A", None))
    line = Line("cryostat", link, clock)
    link.reset = lambda: link.replies.extend([b"+001.000"] * 1000)

    with pytest.raises(ReplyError, match="still talking"):
        line.ask("KRDG? A", NUMBER)


OTHER = ("*IDN?", "LSCI,MODEL336,LSA0001/0,2.9")


def test_another_instrument_after_a_reconnect_is_refused_once_it_is_heard_twice(scripted, clock):
    line = Line("cryostat", scripted(IDN, IDN, ("KRDG? A", None), OTHER, OTHER), clock)
    line.identify()
    line.identify()

    with pytest.raises(ReplyError, match=r"LSA0001.*not believed until it is heard again"):
        line.ask("KRDG? A", NUMBER)
    with pytest.raises(StateError, match="LSA0001"):
        line.ask("KRDG? A", NUMBER)


def test_one_garbled_identity_is_no_other_instrument(scripted, clock):
    garbled = ("*IDN?", IDN[1].replace("2.9", "2.<"))
    line = Line("cryostat", scripted(IDN, IDN, garbled, IDN), clock)
    line.identify()
    line.identify()

    with pytest.raises(ReplyError, match="not believed"):
        line.identify()

    assert line.identify().firmware == "2.9"


def test_an_identity_that_was_garbled_the_first_time_is_corrected(scripted, clock):
    garbled = ("*IDN?", IDN[1].replace("2.9", "2.<"))
    line = Line("cryostat", scripted(garbled, IDN, IDN, IDN), clock)
    line.identify()
    with pytest.raises(ReplyError, match="not believed"):
        line.identify()

    assert line.identify().firmware == "2.9"
    assert line.identify().firmware == "2.9"


def test_a_wrong_serial_number_is_refused(scripted, clock):
    line = Line("cryostat", scripted(IDN), clock, serial="LSA9999")

    with pytest.raises(StateError, match="LSA24K7/2136045, not LSA9999"):
        line.identify()


@pytest.mark.parametrize("serial", ["LSA24K7", "2136045", ""])
def test_a_serial_number_is_that_of_the_unit_or_of_its_option(scripted, clock, serial):
    line = Line("cryostat", scripted(IDN), clock, serial=serial)

    identity = line.identify()

    assert (identity.manufacturer, identity.model) == ("LSCI", "MODEL336")


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), EOFError("gone")])
def test_foreign_ends_of_a_line_become_ours(scripted, clock, error):
    link = scripted()

    def fail(*_):
        raise error

    link.send = fail
    line = Line("cryostat", link, clock)

    with pytest.raises(LinkClosed, match=r"cryostat: line lost \(gone\)") as caught:
        line.tell("SETP 1,10")
    assert caught.value.__cause__ is error


def test_a_lost_line_is_reconnected_and_identified_before_it_is_used_again(scripted, clock):
    link = scripted(IDN, ("KRDG? A", "+077.350"))
    poll = link.poll
    line = Line("cryostat", link, clock)

    def fail(_):
        raise ConnectionResetError

    link.poll = fail
    with pytest.raises(LinkClosed):
        line.ask("KRDG? A", NUMBER)
    link.poll = poll

    assert line.ask("KRDG? A", NUMBER) == "+077.350"
    assert link.resets == 1


def test_a_command_is_never_repeated(scripted, clock):
    link = scripted(("RANGE 1,0", None))
    line = Line("cryostat", link, clock)

    line.tell("RANGE 1,0")

    assert len(link.sent) == 1


def test_a_started_command_is_polled_without_waiting(scripted, clock):
    link = scripted(("GO", None))
    line = Line("stage", link, clock)

    line.start("GO")
    assert line.poll() is None
    link.replies.append(b"DONE")

    assert line.poll() == "DONE"
    assert clock.now() == 0.0


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 0.6, float("nan")])
def test_no_timeout_is_longer_than_half_a_second(scripted, clock, timeout_s):
    with pytest.raises(ValueError, match=r"at most 0\.5 s"):
        Line("cryostat", scripted(), clock, timeout_s=timeout_s)


def test_the_wire_is_logged_at_debug(scripted, clock, caplog):
    line = Line("cryostat", scripted(("KRDG? A", "+077.350")), clock)

    with caplog.at_level(logging.DEBUG, logger="drivers.line"):
        line.ask("KRDG? A")

    assert "cryostat < b'KRDG? A\\n'" in caplog.text
    assert "cryostat > b'+077.350'" in caplog.text


def test_closing_twice_is_harmless(scripted, clock):
    link = scripted()
    line = Line("cryostat", link, clock)

    line.close()
    line.close()

    assert link.is_closed

"""What is sent to whom: the user's headers and logins go to the places that the user named, and nowhere else."""

import pytest

from engine.transfer.mirrors import Mirror
from engine.transfer.options import Location, Options
from engine.transfer.proving import request

OWN = {"X-Secret": "1"}


def asked(mirror, **fields):
    return request(mirror, Options(headers=OWN, **fields), 5, 10, '"v"')


def test_the_users_own_places_get_the_users_headers():
    ask = asked(Mirror("http://h/x"))
    assert (ask.url, ask.start, ask.end, ask.if_range, ask.headers) == ("http://h/x", 5, 10, '"v"', OWN)
    assert ask.is_own
    assert not ask.public_only


@pytest.mark.parametrize(
    ("mirror", "fields"),
    [
        (Mirror("http://h/x", is_stranger=True), {}),
        (Mirror("http://h/x", public_only=True), {"public_only": True}),
        (Mirror("http://h/x"), {"public_only": True}),  # private addresses are allowed, and it is still a stranger's
        (Mirror("http://h/x", location=Location("http://elsewhere/x", True)), {}),
    ],
)
def test_strangers_do_not(mirror, fields):
    ask = asked(mirror, **fields)
    assert ask.headers == {}
    assert not ask.is_own  # nor what the configuration keeps for their host


def test_where_a_redirect_led_within_the_origin_the_login_goes_along():
    ask = asked(Mirror("http://me:pw@h/x", location=Location("http://h/y", False)))
    assert ask.url == "http://h/y"
    assert ask.headers == {**OWN, "Authorization": "Basic bWU6cHc="}
    assert ask.is_own
    elsewhere = asked(Mirror("http://me:pw@h/x", location=Location("http://other/y", False)))
    assert elsewhere.headers == {}
    assert not elsewhere.is_own


def test_a_plain_request_has_no_condition():
    assert request(Mirror("http://h/x"), Options(), None, None, '"v"').if_range is None

from dataclasses import fields, replace

from codex32.kernel.caller import Caller


def test_a_request_changes_nothing_of_who_asks_but_where_from_and_which_it_is():
    caller = Caller(**{each.name: object() for each in fields(Caller)})
    asking = caller.asking("192.0.2.1", "req_1")
    assert asking == replace(caller, address="192.0.2.1", request_id="req_1")

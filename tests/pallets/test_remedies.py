"""Every error of every pallet, and every refusal of the pool, says what helps."""

from __future__ import annotations

import re

import pytest
from world import RUNTIME

from chain.pool import errors as pool
from chain.runtime.errors import DispatchError
from chain.runtime.validity import Invalid, InvalidTransaction, UnknownTransaction
from ganglion.errors import TransactionFailed
from ganglion.pool_errors import CUSTOM_ERRORS, explain
from ganglion.remedies import DISPATCH, remedies, remedy

ERRORS = {
    (p.name, error.__name__.rstrip("_"))
    for p in RUNTIME.pallets.values()
    for error in p.errors.values()
}
TABLE = {(pallet, name) for pallet, rows in remedies().items() for name in rows}


def test_no_error_is_without_a_remedy_and_no_remedy_without_an_error():
    assert len(ERRORS) > 330
    assert set() == ERRORS - TABLE
    assert {row for row in TABLE if row[0] != DISPATCH} - ERRORS == set()


def test_dispatch_errors_have_theirs():
    plain = {variant.variant_name for variant in DispatchError.VARIANTS.values()} - {"Module"}
    rare = {"Exhausted", "Corruption", "Unavailable", "RootNotAllowed", "Trie"}
    assert plain - rare == set(remedies()[DISPATCH])
    assert remedy("", "Token.FundsUnavailable") == remedies()[DISPATCH]["Token"]


def test_they_are_short_sentences():
    for rows in remedies().values():
        for name, text in rows.items():
            assert text.endswith("."), name
            assert len(text) <= 260, name
            assert text.isascii(), name


def test_they_do_not_repeat_what_the_chain_says():
    for pallet in RUNTIME.pallets.values():
        for error in pallet.errors.values():
            said = set(words(error.__doc__ or ""))
            helps = words(remedy(pallet.name, error.__name__.rstrip("_")))
            assert set(helps[: len(said)]) - said, error.__name__


def words(text):
    return re.findall(r"\w+", text.lower())


def test_they_cannot_pass_for_a_refusal_of_the_pool():
    for rows in remedies().values():
        for text in rows.values():
            assert explain(text) == "", text


def test_a_failure_says_both_what_and_what_helps():
    failure = TransactionFailed(
        "Swap", "FeeRateTooHigh", "The fee rate is too high", "Choose less."
    )
    assert str(failure) == "Swap.FeeRateTooHigh: The fee rate is too high Choose less."
    assert remedy("Swap", "NoSuchError") == remedy("NoPallet", "X") == ""


@pytest.mark.parametrize("kind", [k for k in Invalid if k is not Invalid.Custom])
def test_the_pools_refusals_keep_upstreams_words_and_add_a_sentence(kind):
    words = str(InvalidTransaction(kind))
    refusal = pool.invalid(InvalidTransaction(kind))
    assert refusal.code == pool.INVALID
    assert refusal.data.startswith(words.removesuffix("."))
    assert len(refusal.data) > len(words) + 20


def test_custom_errors_stand_alone_for_clients_and_are_explained_by_the_sdk():
    for number in CUSTOM_ERRORS:
        data = pool.invalid(InvalidTransaction(Invalid.Custom, number)).data
        assert data == f"Custom error: {number}"
        assert explain(data)


def test_every_other_refusal_has_data():
    refusals = [
        pool.bad_format("x"),
        pool.banned(3),
        pool.already_imported(bytes(32)),
        pool.too_low_priority(2, 1),
        pool.cycle(),
        pool.immediately_dropped(),
        pool.no_tags(),
        pool.unknown(UnknownTransaction()),
    ]
    assert all(refusal.data for refusal in refusals)

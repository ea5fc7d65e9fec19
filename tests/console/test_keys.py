"""Keys: shown once, kept as hashes, several to a subscriber who has one use."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ampacity.console import keys
from ampacity.gateway.keys import hashed, read_keys

TIERS = ("developers", "tools")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_is_nowhere_but_in_the_answer_that_made_it(table: Path) -> None:
    made = keys.make_key(table, "alice", None, TIERS)
    assert made.key.startswith("sk-amp-") and len(made.key) == 7 + 32
    assert made.key.encode() not in table.read_bytes()
    assert read_keys(table)[hashed(made.key.encode())].name == "alice"
    assert stat.S_IMODE(table.stat().st_mode) == 0o600


def test_a_list_shows_how_a_key_begins_and_no_more(table: Path) -> None:
    made = keys.make_key(table, "alice", "tools", TIERS)
    (listed,) = keys.keys_of(table)
    assert listed.shown == made.key[:11] + "..." and made.key not in str(listed)
    assert (listed.subscriber, listed.tier, listed.revoked_ms) == ("alice", "tools", None)


def test_two_keys_of_one_person_belong_to_one_subscriber(table: Path) -> None:
    one, two = (keys.make_key(table, "alice", None, TIERS).key for _ in range(2))
    holders = read_keys(table)
    assert holders[hashed(one.encode())].subscriber == holders[hashed(two.encode())].subscriber
    assert [s.keys for s in keys.subscribers_of(table)] == [2]


def test_a_revoked_key_opens_nothing_and_stays_on_the_list(table: Path) -> None:
    made = keys.make_key(table, "alice", None, TIERS)
    other = keys.make_key(table, "bob", None, TIERS)
    (gone,) = keys.revoke(table, made.shown)
    assert gone.revoked_ms is not None
    assert set(read_keys(table)) == {hashed(other.key.encode())}
    assert [k.revoked_ms is None for k in keys.keys_of(table)] == [False, True]


@pytest.mark.parametrize("how", ["id", "subscriber"])
def test_keys_are_revoked_by_id_or_all_of_a_subscriber(table: Path, how: str) -> None:
    made = [keys.make_key(table, "alice", None, TIERS) for _ in range(2)]
    gone = keys.revoke(table, made[0].id if how == "id" else "alice")
    assert len(gone) == (1 if how == "id" else 2)


def test_what_nobody_has_cannot_be_revoked(table: Path) -> None:
    keys.make_key(table, "alice", None, TIERS)
    for what in ("bob", "sk-amp-", "", "..."):
        with pytest.raises(keys.NotThere, match="no key in force"):
            keys.revoke(table, what)


def test_organizations_have_limits_and_subscribers_belong_to_them(table: Path) -> None:
    keys.set_organization(table, "acme", "firm", ("team", "firm"))
    made = keys.make_key(table, "alice", None, TIERS, organization="acme")
    holder = read_keys(table)[hashed(made.key.encode())]
    assert holder.organization and holder.organization_limit == "firm"
    keys.set_subscriber(table, "alice", TIERS, tier="tools", organization="")
    holder = read_keys(table)[hashed(made.key.encode())]
    assert (holder.tier, holder.organization, holder.organization_limit) == ("tools", 0, "")


def test_an_organization_goes_when_nobody_belongs_to_it_and_keeps_its_number(table: Path) -> None:
    keys.set_organization(table, "acme", "firm", ("firm",))
    made = keys.make_key(table, "alice", None, TIERS, organization="acme")
    number = read_keys(table)[hashed(made.key.encode())].organization
    with pytest.raises(keys.KeyMistake, match=r"1 belong to it \(alice\).*--organization -"):
        keys.remove_organization(table, "acme")
    keys.set_subscriber(table, "alice", TIERS, tier=None, organization="")
    keys.remove_organization(table, "acme")
    assert keys.organizations_of(table) == {}
    for late in (
        lambda: keys.remove_organization(table, "acme"),
        lambda: keys.make_key(table, "bob", None, TIERS, organization="acme"),
    ):
        with pytest.raises(keys.NotThere, match="none yet"):
            late()
    keys.set_organization(table, "other", "firm", ("firm",))
    keys.set_organization(table, "acme", "firm", ("firm",))
    keys.set_subscriber(table, "alice", TIERS, tier=None, organization="acme")
    assert read_keys(table)[hashed(made.key.encode())].organization == number
    assert keys.organization_names(table) == {number: "acme", number + 1: "other"}


@pytest.mark.parametrize(
    ("subscriber", "tier", "words"),
    [
        ("", None, "1 to 200 characters"),
        ("a\nb", None, "can be printed"),
        (" a", None, "no space"),
        ("alice", "nope", "expected one of developers, tools"),
    ],
)
def test_mistakes_say_what_was_expected(table: Path, subscriber: str, tier: str | None, words: str) -> None:
    with pytest.raises(keys.KeyMistake, match=words):
        keys.make_key(table, subscriber, tier, TIERS)
    assert keys.keys_of(table) == [] and keys.audit_of(table) == []


def test_a_subscriber_of_another_tier_is_not_moved_by_a_new_key(table: Path) -> None:
    keys.make_key(table, "alice", "developers", TIERS)
    with pytest.raises(keys.KeyMistake, match="is in tier 'developers'"):
        keys.make_key(table, "alice", "tools", TIERS)


def test_what_operators_do_is_written_down_without_secrets(table: Path) -> None:
    made = keys.make_key(table, "alice", None, TIERS, who="carol")
    keys.revoke(table, "alice", who="dave")
    assert [(row["who"], row["what"]) for row in keys.audit_of(table)] == [
        ("dave", "key revoked"),
        ("carol", "key made"),
    ]
    assert made.key not in str(keys.audit_of(table))

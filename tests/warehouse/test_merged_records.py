from __future__ import annotations

from warehouse.warehouse_world import Store, day


def test_references_name_the_survivor_before_and_after(store: Store) -> None:
    store.merge({"id": "c1", "account": "old"}, table="contact", stream="contacts")
    store.merge({"id": "old", "name": "Old"}, {"id": "new", "name": "New"})
    merged = store.merge({"id": "old", "_merged_into": "new"})
    assert merged.deleted == 1
    store.merge({"id": "c2", "account": "old"}, table="contact", stream="contacts")
    assert {k: r["account"] for k, r in store.live("contact").items()} == {
        "c1": "crm:new",
        "c2": "crm:new",
    }
    assert set(store.live()) == {"new"}


def test_a_repeated_page_with_an_old_reference_changes_nothing(store: Store) -> None:
    row = {"id": "d1", "account": "old", "updated_at": day(1)}
    store.merge(row, table="deal", stream="deals")
    store.merge({"id": "old", "_merged_into": "new"})
    assert store.merge(row, table="deal", stream="deals").changed == 0


def test_chains_lead_to_the_last_survivor_in_whatever_order_they_come(store: Store) -> None:
    store.merge(
        *({"id": f"c{name}", "account": name} for name in "abc"),
        table="contact",
        stream="contacts",
    )
    store.merge({"id": "b", "_merged_into": "c"})
    store.merge({"id": "a", "_merged_into": "b"}, {"id": "c", "_merged_into": "d"})
    assert store.aliases() == {"crm:a": "crm:d", "crm:b": "crm:d", "crm:c": "crm:d"}
    assert {row["account"] for row in store.live("contact").values()} == {"crm:d"}


def test_a_circle_of_merges_is_refused_with_its_row(store: Store) -> None:
    store.merge({"id": "a", "name": "A"}, {"id": "b", "name": "B"})
    store.merge({"id": "a", "_merged_into": "b"})
    merged = store.merge({"id": "b", "_merged_into": "a", "_row": 7}, {"id": "c", "name": "C"})
    assert merged.quarantined == 1
    assert set(store.live()) == {"b", "c"}
    (sentence,) = store.sentences()
    assert sentence.startswith("accounts.csv, row 7: “b” is said to be merged into “a”")


def test_a_record_merged_into_itself_is_refused(store: Store) -> None:
    store.merge({"id": "a", "name": "A"})
    assert store.merge({"id": "a", "_merged_into": "a"}).quarantined == 1
    assert set(store.live()) == {"a"}


def test_ids_of_other_tables_are_left_alone(store: Store) -> None:
    store.merge({"id": "c1", "account": "1", "name": "x"}, table="contact", stream="contacts")
    store.merge({"id": "d1", "contact": "1"}, table="deal", stream="deals")
    store.merge({"id": "1", "_merged_into": "2"})
    assert store.live("contact")["c1"]["account"] == "crm:2"
    assert store.live("deal")["d1"]["contact"] == "crm:1"


def test_a_record_that_lives_again_is_no_alias_any_more(store: Store) -> None:
    store.merge({"id": "a", "_merged_into": "b", "updated_at": day(1)})
    store.merge({"id": "a", "name": "A", "updated_at": day(2)})
    assert store.aliases() == {}
    store.merge({"id": "c1", "account": "a"}, table="contact", stream="contacts")
    assert store.live("contact")["c1"]["account"] == "crm:a"


def test_a_reader_sees_the_survivors_of_each_table(store: Store) -> None:
    store.merge({"id": "1", "_merged_into": "2"}, {"id": "2", "_merged_into": "3"})
    store.merge({"id": "1", "_merged_into": "9"}, table="contact", stream="contacts")
    with store.warehouse.reading() as records:
        assert records.aliases() == {
            "account": {"crm:1": "crm:3", "crm:2": "crm:3"},
            "contact": {"crm:1": "crm:9"},
        }


def test_whoever_once_referred_to_a_merged_record_has_changed(store: Store) -> None:
    for number, owner in enumerate(("u1", "u2", "u3"), 1):
        store.merge({"id": "a", "owner": owner, "updated_at": day(number)})
    store.merge({"id": "b", "owner": "u9", "updated_at": day(1)})
    assert changed_by(store, {"id": "u1", "_merged_into": "u2"}) == {"crm:a"}
    assert changed_by(store, {"id": "u1", "name": "Jo", "updated_at": day(9)}) == {"crm:a"}


def changed_by(store: Store, user: dict[str, object]) -> set[str]:
    """The accounts that count as changed once this is read."""
    with store.warehouse.reading() as records:
        before = records.mark()
    assert before is not None
    store.merge(user, table="user", stream="users")
    with store.warehouse.reading() as records:
        return records.changed_since(before.number).records.get("account", set())

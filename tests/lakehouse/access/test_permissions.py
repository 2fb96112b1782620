"""A group set has one key and no other set has it; a caller gets the keys of his groups and of nobody else's."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.access import permissions
from lakehouse.access.permissions import (
    AclDirectory,
    acl_key,
    canonical_groups,
    check_tenant,
    named_groups,
    split_groups,
)
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import upsert
from lakehouse.tables import ACL_KEYS

# a few letters are longer in NFC
names = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=permissions.MAX_GROUP_LENGTH // 3)
group_sets = st.lists(names, max_size=4)


@given(group_sets, group_sets)
@example(["a,b"], ["a", "b"])
@example(['a", "b'], ["a", "b"])
@example(["everyone"], [])
@example(["ab", "c"], ["a", "bc"])
def test_two_group_sets_share_a_key_only_when_they_are_the_same(first, second):
    assert (acl_key(first) == acl_key(second)) == (canonical_groups(first) == canonical_groups(second))


@given(group_sets)
def test_a_key_is_plain_ascii_and_ignores_order_and_repeats(groups):
    key = acl_key(groups)

    assert key.isascii()
    assert key.isalnum()
    assert acl_key([*reversed(groups), *groups]) == key


def test_a_document_without_groups_is_for_everyone():
    assert acl_key([]) == acl_key(["", "  "]) == "everyone"


def test_group_names_are_literal_text():
    assert canonical_groups([" hr ", "*", "%", 'staff"] or 1==1', "hr", ""]) == ("%", "*", "hr", 'staff"] or 1==1')


@pytest.mark.parametrize("group", ["a\nb", "\x00", "x" * 129])
def test_a_group_that_cannot_be_a_name_is_refused(group):
    with pytest.raises(InvalidInput, match="group"):
        canonical_groups([group])


def test_one_name_instead_of_a_list_is_refused():
    with pytest.raises(InvalidInput, match=r"'hr'.*list"):
        canonical_groups("hr")


@pytest.mark.parametrize("tenant", ["a", "Acme-2_x", "0" * 63])
def test_a_tenant_id_is_given_back(tenant):
    assert check_tenant(tenant) == tenant


@pytest.mark.parametrize("tenant", ["", "-a", "a b", "a\n", "é", "0" * 64, 'x") or 1==1 or ("', "%", "*", "a/../b"])
def test_what_is_no_tenant_id_is_refused(tenant):
    with pytest.raises(InvalidInput, match="tenant"):
        check_tenant(tenant)


class TestAclDirectory:
    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(home=tmp_path)

    @staticmethod
    def add(settings, tenant, *group_sets):
        rows = [{"tenant_id": tenant, "acl_key": acl_key(gs), "acl_groups": list(gs)} for gs in group_sets]
        upsert(settings, ACL_KEYS, rows)

    def test_before_the_first_ingest_there_is_only_everyone(self, settings):
        assert AclDirectory(settings).allowed_keys("acme", ["hr"]) == ("everyone",)

    def test_a_caller_gets_every_set_that_names_one_of_his_groups(self, settings):
        self.add(settings, "acme", ("eng",), ("eng", "hr"), ("hr",), ("law",))

        allowed = AclDirectory(settings).allowed_keys("acme", ["hr"])

        assert set(allowed) == {"everyone", acl_key(["eng", "hr"]), acl_key(["hr"])}

    def test_a_caller_without_groups_gets_everyone_only(self, settings):
        self.add(settings, "acme", ("eng",))

        assert AclDirectory(settings).allowed_keys("acme", []) == ("everyone",)

    def test_another_tenants_sets_are_not_seen(self, settings):
        self.add(settings, "acme", ("hr",))
        self.add(settings, "acme2", ("hr", "law"))

        assert AclDirectory(settings).allowed_keys("acme", ["law"]) == ("everyone",)

    @pytest.mark.parametrize("group", ["%", "*", "h", "HR", 'hr"] or tenant_id != "', "hr') OR 1=1 --"])
    def test_a_name_matches_itself_only(self, settings, group):
        self.add(settings, "acme", ("hr",))

        assert AclDirectory(settings).allowed_keys("acme", [group]) == ("everyone",)

    def test_a_new_set_is_seen_when_the_directory_is_read_again(self, settings):
        now_s = [0.0]
        directory = AclDirectory(settings, timer=lambda: now_s[0])
        directory.allowed_keys("acme", ["hr"])
        self.add(settings, "acme", ("hr",))

        now_s[0] = permissions.DIRECTORY_AGE_S

        assert directory.allowed_keys("acme", ["hr"]) == ("everyone", acl_key(["hr"]))

    def test_a_failed_look_up_grants_nothing_that_an_earlier_one_granted(self, settings, monkeypatch):
        now_s = [0.0]
        directory = AclDirectory(settings, timer=lambda: now_s[0])
        self.add(settings, "acme", ("hr",))
        assert directory.allowed_keys("acme", ["hr"]) == ("everyone", acl_key(["hr"]))
        now_s[0] = permissions.DIRECTORY_AGE_S

        def unreadable(*_args, **_options):
            raise OSError("storage is away")

        monkeypatch.setattr(permissions, "read_rows", unreadable)

        with pytest.raises(OSError, match="storage is away"):
            directory.allowed_keys("acme", ["hr"])


def test_a_name_is_the_same_group_however_its_letters_are_composed():
    assert acl_key(["Entwickler Köln"]) == acl_key(["Entwickler Ko\u0308ln "])
    assert acl_key(["Staff"]) != acl_key(["staff"])


@pytest.mark.parametrize("text", ["CN=Sales,OU=EMEA,DC=example,DC=com", "staff,CN=Sales", "Doe\\, John"])
def test_a_list_that_may_be_one_name_with_commas_is_refused(text):
    with pytest.raises(InvalidInput, match="--group of its own"):
        split_groups(text)


def test_plain_names_are_split_and_a_name_by_itself_is_whole():
    assert split_groups(" staff, hr,") == ["staff", "hr"]
    assert split_groups("CN=Sales") == ["CN=Sales"]
    assert named_groups("staff", ["CN=Sales,OU=EMEA", "a,b"]) == ["staff", "CN=Sales,OU=EMEA", "a,b"]


def test_a_blank_group_does_not_open_a_document_to_everybody():
    with pytest.raises(InvalidInput, match="is blank"):
        named_groups("", [" "])

"""What counts as a hyperlink, and which document of the tenant it leads to."""

import pytest

from lakehouse.text.hyperlinks import (
    Place,
    document_addresses,
    is_address,
    link_addresses,
    link_targets,
    own_addresses,
    said_addresses,
)

DOCUMENTS = {
    "README.md": "file:///corpus/README.md",
    "guide/install.md": "file:///corpus/guide/install.md",
    "guide/faq/index.html": "file:///corpus/guide/faq/index.html",
    "guide/use.md": "file:///corpus/guide/use.md",
    "api/use.md": "file:///corpus/api/use.md",
    "wiki:7": "https://wiki.example/page?id=7",
    "plan": "file:///in.jsonl#plan",
}


def leads_to(target: str, doc_id: str = "guide/use.md") -> str | None:
    """The document that has the best address of the link; None where several have it."""
    for address in link_addresses(target, "s", doc_id, DOCUMENTS[doc_id]):
        owners = [one for one, uri in DOCUMENTS.items() if address in document_addresses("s", one, uri)]
        if len(owners) == 1:
            return owners[0]
    return None


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("install.md", "guide/install.md"),
        ("./install.md#on-a-mac", "guide/install.md"),
        ("../README.md?plain=1", "README.md"),
        ("../", "README.md"),
        ("/guide/install/", "guide/install.md"),
        ("../install/", "guide/install.md"),  # from the page /guide/use/
        ("/guide/faq", "guide/faq/index.html"),
        ("faq.html", "guide/faq/index.html"),
        ("/docs/../install.md", "guide/install.md"),  # the end of a path, where one document has it
        ("/use/", None),  # two have this end
        ("use.md", "guide/use.md"),
        ("file:///corpus/api/use.md", "api/use.md"),
        ("https://wiki.example/page?id=7", "wiki:7"),
        ("https://WIKI.example/page?id=7#top", "wiki:7"),
        ("https://wiki.example/page?id=8", None),
        ("https://other.example/install.md", None),  # another host's page of the same name
        ("wiki:7", "wiki:7"),
        ("plan", "plan"),
        ('{% page "/guide/install/#on-a-mac" %}', "guide/install.md"),
        ("{{ '/guide/install' | relative_url }}", "guide/install.md"),
        ("{{ site.baseurl }}/guide/install/", "guide/install.md"),
        ("missing.md", None),
        ("mailto:install.md", None),
        ("http://[", None),
        ("?q=1", "guide/use.md"),  # itself, which makes no link
    ],
)
def test_a_link_leads_to_the_one_document_at_its_best_address(target: str, document: str | None) -> None:
    assert leads_to(target) == document


def test_a_link_stays_within_its_source_unless_it_names_a_whole_address() -> None:
    other = document_addresses("other", "guide/install.md", "https://elsewhere/install")
    assert not set(link_addresses("install.md", "s", "guide/use.md", DOCUMENTS["guide/use.md"])) & set(other)
    assert set(link_addresses("https://elsewhere/install.html", "s", "a", "file:///a")) & set(other)


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("plan-1.md", "uri:s3://lake/plans/plan-1"),
        ("../other/a.md", "uri:s3://lake/other/a"),
        ("/a.md", "uri:s3://lake/a"),
        ("s3a://else/a.md", "uri:s3://else/a"),
        ("https://a.org/b", "uri:web://a.org/b"),
    ],
)
def test_a_link_in_a_bucket_is_meant_from_its_document(target: str, address: str) -> None:
    uris = [one for one in link_addresses(target, "wiki", "plan-0.md", "s3a://lake/plans/plan-0.md") if "uri:" in one]
    assert uris == [address]


def test_links_of_markdown_and_html_are_found() -> None:
    text = """[a](one.md "Title") ![i](two(1).png) [b](<three four.md>) <a href='five'>x</a> https://six.example/a_b.
[ref]: seven.md
<https://eight.example> [c](#here) [d]({% page "/nine/" %}) [e]()"""

    assert list(link_targets(text)) == [
        "one.md", "two(1).png", "three four.md", "five", "https://six.example/a_b", "seven.md",
        "https://eight.example", '{% page "/nine/" %}',
    ]  # fmt: skip


def test_a_chunk_says_where_its_links_lead_and_a_page_has_that_address() -> None:
    linking = Place("docs", "guide/start.md", "file:///here/guide/start.md")
    said = said_addresses(
        "See [how](../admin/Backup.md#cold-copies), [more](other.md), https://Orion.example/a/", linking
    )
    page = own_addresses(
        Place("docs", "admin/backup.md", "file:///elsewhere/admin/backup.md"), ["Cold copies!", "Warm `copies.now`"]
    )

    assert said["path:docs:admin/backup"] == 0.3  # another chunk of the page
    assert said["path:docs:admin/backup#cold-copies"] == page["path:docs:admin/backup#cold-copies"] == 1.0
    assert page["path:docs:admin/backup"] == page["path:docs:admin/backup#warm-copiesnow"] == 1.0
    assert said["path:docs:guide/other"] == 1.0
    assert said["tail:docs:other"] == 1.0
    assert said_addresses("[a](/admin/backup/#Cold-copies)", linking)["tail:docs:admin/backup#cold-copies"] == 1.0
    assert page["tail:docs:admin/backup#cold-copies"] == 1.0  # where a site leaves out the root
    assert said["uri:web://orion.example/a"] == 1.0
    assert not any("file:" in address for address in (*said, *page))  # where a copy lies
    assert all(map(is_address, (*said, *page)))


def test_addresses_of_a_chunk_are_few_and_short() -> None:
    place = Place("docs", "/".join(["deep"] * 40), "")
    many = said_addresses(" ".join(f"[a](page{n}.md) [b]({'x' * 300}.md)" for n in range(500)), place)
    assert 0 < len(many) <= 96
    assert len(own_addresses(place)) <= 9
    assert own_addresses(Place("s", "1", "")) == {"id:s:1": 1.0, "path:s:1": 1.0, "tail:s:1": 1.0}

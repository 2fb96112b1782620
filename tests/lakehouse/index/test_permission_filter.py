"""No text can end a literal of a Milvus filter; that the filters keep chunks secret is tested through the index."""

import ast

from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.index.permission_filter import document_filters, literal, literals, readable_chunks


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")))
@example('x") or 1==1 or ("')
@example("\\")
@example('\\"')
def test_a_literal_reads_back_as_the_text_it_was_made_of(text):
    assert ast.literal_eval(literal(text)) == text


def test_a_list_of_literals():
    assert literals(['a"b', "c"]) == r'["a\"b", "c"]'


def test_readable_chunks_belong_to_the_tenant_and_carry_an_allowed_key():
    assert readable_chunks("acme", ["everyone", 'h"r']) == r'tenant_id == "acme" and acl_key in ["everyone", "h\"r"]'
    assert readable_chunks("acme", []) == 'tenant_id == "acme" and acl_key in []'


def test_documents_are_filtered_in_batches_of_ids():
    assert list(document_filters("acme", None, [], 2)) == ['tenant_id == "acme"']
    assert list(document_filters("acme", "wiki", ["a", "b", "c"], 2)) == [
        'tenant_id == "acme" and source == "wiki" and doc_id in ["a", "b"]',
        'tenant_id == "acme" and source == "wiki" and doc_id in ["c"]',
    ]

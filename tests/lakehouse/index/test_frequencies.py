"""Counts of names and terms as a process that searches keeps them."""

import numpy as np
import pytest

from lakehouse.index import frequencies
from lakehouse.index.frequencies import Frequencies, FrequencyDirectory
from lakehouse.settings import Settings
from lakehouse.storage.delta import append, upsert
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import EVERY_CHUNK, hashed


def write(settings: Settings, tenant: str, **counts: int) -> None:
    shared = {"tenant_id": tenant, "ingest_run_id": "r"}
    keys = {EVERY_CHUNK if key == "chunks" else f"term:{key}": count for key, count in counts.items()}
    upsert(settings, FREQUENCIES, [shared | {"key": hashed(key), "chunks": count} for key, count in keys.items()])


def test_a_tenants_counts_are_read_again_when_they_change_and_not_when_anothers_do(tmp_path):
    settings = Settings(home=tmp_path)
    directory = FrequencyDirectory(settings, age_s=0)
    assert directory.of("acme").chunks == 0

    write(settings, "acme", chunks=10, orion=4)
    first = directory.of("acme")
    write(settings, "globex", chunks=99, orion=77)

    assert directory.of("acme") is first
    write(settings, "acme", chunks=11, orion=5)
    assert directory.of("acme").chunks == 11
    np.testing.assert_array_equal(directory.of("acme").counts(["term:orion", "term:none"]), [5, 1])
    assert directory.of("globex").chunks == 99


@pytest.mark.parametrize("most", [3, 1_000])
def test_the_most_frequent_keys_are_kept_and_every_chunk_is_counted(tmp_path, monkeypatch, most):
    settings = Settings(home=tmp_path)
    shared = {"tenant_id": "acme", "ingest_run_id": "r"}
    for begin in range(0, 40, 10):  # a file each
        rows = [shared | {"key": hashed(f"term:{n}"), "chunks": n + 2} for n in range(begin, begin + 10)]
        append(settings, FREQUENCIES, rows)
    append(settings, FREQUENCIES, [shared | {"key": hashed(EVERY_CHUNK), "chunks": 41}])
    monkeypatch.setattr(frequencies, "MAX_KEYS", most)

    counts = FrequencyDirectory(settings).of("acme")

    assert counts.chunks == 41
    assert counts.counts(["term:39"]) == 41
    assert counts.counts(["term:1"]) == (1 if most == 3 else 3)


def test_a_misspelt_word_is_corrected_to_a_frequent_word_of_the_tenant_and_no_other_word_is_touched():
    counts = {EVERY_CHUNK: 100, "term:partit": 30, "term:index": 50, "term:kubernet": 9, "term:rarity": 1}
    known = Frequencies.of(100, counts)

    assert known.corrections(["partiton", "indxe", "kuberntes", "becuase"]) == {
        "partiton": "partition",
        "indxe": "index",
        "kuberntes": "kubernets",
        "becuase": "because",  # a stop word is no word of the tenant
    }
    assert known.corrections(["partition", "indexes", "bokeh", "rarite", "idx"]) == {}

"""The benchmark of quorums: without a quorum false sources win, with a quorum of two they lose."""

from tests.benchmarks.quorum import ScriptedReader, by_script, measured


async def test_a_quorum_outvotes_liars_who_do_not_agree() -> None:
    reader = ScriptedReader()
    alone = await measured(by_script, reader, 100, 1, 0.4, together=False)
    agreed = await measured(by_script, reader, 100, 2, 0.4, together=False)
    right, wrong, read = zip(alone, agreed, strict=True)
    assert right[0] < 0.75 < 0.9 < right[1]
    assert wrong[0] > 0.25
    assert wrong[1] == 0
    assert read[0] == 1 < read[1]

"""Mutated files: a short run of the fuzzer, and what it stands on."""

from tests.hostile.fuzzing import fuzzed
from tests.hostile.mutation import mutated, seeds

SHORT_RUN_S = 12.0
SEED = 20_260_101
LEAST_SEEDS = 20


def test_mutations_can_be_made_again() -> None:
    assert len(seeds()) >= LEAST_SEEDS
    assert [mutated(7, number) for number in range(30)] == [mutated(7, number) for number in range(30)]
    assert mutated(7, 1) != mutated(8, 1)


async def test_no_mutation_does_harm() -> None:
    findings = await fuzzed(SEED, SHORT_RUN_S)
    assert findings.harm == []
    assert findings.ends.total() > 20
    assert findings.ends["decoded"] > 0

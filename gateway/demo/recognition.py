"""The step of mutual recognition: a grade in the partner's own scale, and what it rests on."""

from collections.abc import Iterator

from gateway.demo.abroad import GRADES
from gateway.demo.cast import PARTNER
from gateway.demo.credential import WORDS
from gateway.demo.scene import Scene, Told, UnexpectedError, expect, seconds
from xinguan.v1 import recognition_pb2


async def partner_reads_a_grade(scene: Scene) -> Told:
    """The partner gets a grade in its own scale, by a signed table, beside the original."""
    async with scene.client(PARTNER) as client:
        for company in _graded(scene):
            answer = await client.map_grade(f"uscc:{company}", **WORDS)
            if answer.grade:
                break
        else:
            raise UnexpectedError("a company has a grade that the partner's scale knows")
    versions = _versions(answer.basis)
    expect(answer.grade == answer.original * 2, "the signed table maps it")
    expect(set(versions) == {"terms", "mapping", "whitelist"}, "the answer names its versions")
    return Told(
        "Mutual recognition: a grade in the partner's own scale, beside the original",
        [
            f"{answer.scale}: {answer.grade}",
            f"{answer.original_scale}: {answer.original}, which stays the original",
        ],
        [{"rests on": name, "version": text} for name, text in versions.items()],
        {"grade": answer.grade, "original": answer.original, "versions": versions},
    )


def _versions(basis: recognition_pb2.RecognitionBasis) -> dict[str, str]:
    named = {"terms": basis.terms, "mapping": basis.mapping, "whitelist": basis.whitelist}
    return {name: f"{each.name} v{each.version}" for name, each in named.items() if each.name}


def _graded(scene: Scene) -> Iterator[str]:
    """Yield codes of companies with a grade that has an equivalent, best grades first."""
    snapshot = scene.stage.loaded[GRADES].snapshot
    rows = snapshot.batch_rows(0)
    names = ["uscc", "grade", "subject_type"]
    shown = snapshot.take(rows[snapshot.shareable(rows, seconds())], names).to_pylist()
    for row in sorted(shown, key=lambda row: str(row["grade"])):
        if row["subject_type"] == "LEGAL_ENTITY":
            yield str(row["uscc"])

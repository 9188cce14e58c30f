"""The recall service of a serving node, put together."""

from collections.abc import Callable

from audit.openings import OpeningStore
from gateway.deployment import Deployment, Secrets
from gateway.release.pseudonym import ConsumerKeys
from gateway.repair.recall.compute import NoticeKeys, Recaller
from gateway.repair.recall.keys import announce_notice_key, open_notice_key
from gateway.repair.recall.rows import RecordPlaces
from gateway.repair.recall.service import RecallService
from gateway.store.state import State


async def open_recall(
    deployment: Deployment,
    secrets: Secrets,
    state: State,
    consumer_keys: Callable[[str], ConsumerKeys],
    clock_ms: Callable[[], int],
) -> RecallService:
    """Return the service, its key in the log.

    Args:
        deployment: The deployment.
        secrets: Its keys.
        state: The open state.
        consumer_keys: Party id to the keys of its pseudonyms.
        clock_ms: Unix milliseconds.

    Raises:
        KeyFileError: The notice key can't be read or made.
        AuditUnavailableError: The key can't be logged.
    """
    settings = deployment.settings
    signing = open_notice_key(deployment.directory / settings.files.notice_key)
    await state.submit(
        lambda tx: announce_notice_key(
            tx, signing, node=settings.node, party=settings.operator, now=clock_ms() // 1000
        )
    )
    recaller = Recaller(
        state,
        RecordPlaces(deployment.snapshots_directory),
        NoticeKeys(
            issuer=settings.log.origin,
            signing=signing,
            openings=OpeningStore(secrets.opening_key),
            consumer=consumer_keys,
        ),
        node=settings.node,
        due_s=settings.limits.recall_due_s,
        clock_s=lambda: clock_ms() // 1000,
    )
    return RecallService(
        state, recaller, node=settings.node, proposal_wait_s=settings.limits.recall_proposal_wait_s
    )

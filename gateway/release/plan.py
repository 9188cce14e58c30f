"""The plan of a release: a pure function of the request, the decision and the contract."""

from dataclasses import dataclass

from gateway.domain.decision import Decision
from gateway.domain.errors import DeniedError, InternalError, InvalidRequestError, Reason
from gateway.domain.product import Field, Product
from gateway.domain.request import Condition, ExchangeRequest
from gateway.domain.vocabulary import FieldAction

DISPUTE_FIELD = "dispute_flag"
LABEL_DISPUTE = "label_dispute"
SHUFFLE = "shuffle"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be read and what will leave.

    Args:
        product: The contract.
        released: Each leaving field with its action, in the order asked for.
        columns: Columns read from the snapshot: the released ones, and those that the
            caller's conditions need.
        policy_rows: Conditions of the policy on every row.
        caller_rows: Conditions of the caller; applied after the policy's and after
            shareability, so that they are no oracle.
        limit: Greatest number of rows, 0 for none; counted after all conditions.
        shuffle: True when the order of rows must not tell the subject.
    """

    product: Product
    released: tuple[tuple[Field, FieldAction], ...]
    columns: tuple[str, ...]
    policy_rows: tuple[Condition, ...]
    caller_rows: tuple[Condition, ...]
    limit: int
    shuffle: bool


def make_plan(request: ExchangeRequest, decision: Decision, product: Product) -> Plan:
    """Return the plan of an allowed request.

    Raises:
        DeniedError: `FILTER_ON_HIDDEN_FIELD` when the caller filters on a field that the
            decision does not allow unmasked; otherwise a filter would be an oracle.
        InvalidRequestError: `UNKNOWN_FIELD` when a filter names no field of the product.
        InternalError: When the decision is a denial or names a field that was not asked for.
    """
    if not decision.allow or not set(decision.actions) <= set(request.decided):
        raise InternalError("INTERNAL", "a plan was asked of a decision that does not carry one")
    released = tuple(
        (product.fields[name], decision.actions[name])
        for name in request.fields
        if decision.actions.get(name, FieldAction.DROP) is not FieldAction.DROP
    )
    names = {field.name for field, _ in released}
    if LABEL_DISPUTE in decision.obligations and DISPUTE_FIELD not in names:
        # R14: a disputed record leaves only with its label, asked for or not.
        released = (*released, (product.fields[DISPUTE_FIELD], FieldAction.ALLOW))
        names.add(DISPUTE_FIELD)
    for condition in request.conditions:
        _check_filter(condition, decision, product)
    needed = [condition.field for condition in request.conditions]
    extra = tuple(dict.fromkeys(name for name in needed if name not in names))
    return Plan(
        product=product,
        released=released,
        columns=(*(field.name for field, _ in released), *extra),
        policy_rows=decision.row_predicates,
        caller_rows=request.conditions,
        limit=request.limit,
        shuffle=SHUFFLE in decision.obligations,
    )


def released_actions(plan: Plan) -> dict[str, FieldAction]:
    """Return field name to action of everything that the plan lets leave."""
    return {field.name: action for field, action in plan.released}


def _check_filter(condition: Condition, decision: Decision, product: Product) -> None:
    if condition.field not in product.fields:
        raise InvalidRequestError("UNKNOWN_FIELD", "a filter names a field that does not exist")
    if decision.actions.get(condition.field) is not FieldAction.ALLOW:
        reason = Reason("GATE", "FILTER_ON_HIDDEN_FIELD", (condition.field,))
        raise DeniedError(
            reason.code, "a filter names a field that may not be seen unmasked", reasons=[reason]
        )

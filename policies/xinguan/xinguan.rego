# METADATA
# title: The decision
# description: >-
#   One question, one object. Every package below contributes denials (of the request) and
#   drops (of groups of fields); deny overrides, and all reasons are told. Nothing here decides
#   on single records: those are silent, and leave only when the row predicates hold.
package xinguan

import data.xinguan.banks
import data.xinguan.border
import data.xinguan.callers
import data.xinguan.fields
import data.xinguan.inbound
import data.xinguan.persons
import data.xinguan.publicity
import data.xinguan.responsibility
import data.xinguan.validity

# METADATA
# title: The one answer
# description: >-
#   One action per group of the input's fields, in its order; what no rule names is denied, and so
#   is a request unless a field remains.
# entrypoint: true
decision := {
	"allow": true,
	"bundle": data.bundle.revision,
	"actions": fields.actions,
	"obligations": obligations,
	"reasons": fields.reasons,
	"row_predicates": predicates,
	"rules": (fired | {reason.rule | some reason in fields.reasons}),
	"valid_from": validity.valid_from,
	"valid_until": validity.valid_until,
} if {
	count(denials) == 0
	fields.some_remain
} else := {
	"allow": false,
	"bundle": data.bundle.revision,
	"actions": fields.none,
	"obligations": set(),
	"reasons": all_reasons,
	"row_predicates": set(),
	"rules": {reason.rule | some reason in all_reasons},
	"valid_from": validity.valid_from,
	"valid_until": validity.valid_until,
}

denials := ((((callers.deny | publicity.deny) | banks.deny) | persons.deny) | responsibility.deny) | (border.said.deny | inbound.deny)

all_reasons := denials | fields.reasons

obligations := (((publicity.obligations | fields.obligations) | persons.obligations) | (border.said.obligations | banks.obligations)) | inbound.obligations

predicates := (publicity.predicates | persons.predicates) | (border.said.predicates | inbound.predicates)

fired := (((publicity.fired | fields.fired) | persons.fired) | (border.said.fired | banks.fired)) | inbound.fired

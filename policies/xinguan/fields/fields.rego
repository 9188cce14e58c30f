# METADATA
# title: One action per field
# description: >-
#   The input groups the fields asked for by the facts the law speaks about (class, grant,
#   border default and so on), so the rules run once per kind of field and not once per field.
#   The answer speaks of groups by their place in the input, which names the fields of each.
#   What no rule drops and the grant names, leaves.
package xinguan.fields

import data.xinguan.banks
import data.xinguan.border
import data.xinguan.callers
import data.xinguan.persons
import data.xinguan.publicity

drops := (((callers.drop | publicity.drop) | banks.drop) | persons.drop) | (border.said.drop | drop)

dropped := {d.group | some d in drops}

# METADATA
# title: The action on each group of fields
actions := [action(i) | some i, _ in input.fields]

# METADATA
# title: The same groups, none of them leaving
none := ["drop" | some _ in input.fields]

# METADATA
# title: At least one field remains
some_remain if count(dropped) < count(input.fields)

# One chain, so that the order of the actions is the order of the lines.
action(i) := "drop" if {
	dropped[i]
} else := "pseudonym" if {
	pseudonym[i]
} else := "mask" if {
	persons.masked[i]
} else := "generalise" if {
	border.said.generalised[i]
} else := "allow"

# METADATA
# title: A pseudonymous grant turns the subject key into a pseudonym
# custom:
#   rule: R32
#   code: PSEUDONYMOUS
#   title_zh: 假名化许可
#   clause: "Measures 21, 52: usable but not visible; the grant asks for pseudonyms."
#   remedy: "Nothing to do."
pseudonym contains i if {
	input.licence.pseudonymous
	some i, group in input.fields
	group.subject_key
}

# METADATA
# title: Beside a pseudonym no other identifying field leaves
# custom:
#   rule: GATE
#   code: IDENTIFYING_FIELD
#   title_zh: 假名旁不得有可识别字段
#   clause: "Beside a pseudonym no other identifying field leaves."
#   remedy: "Leave identifying fields out."
drop contains {"rule": "GATE", "code": "IDENTIFYING_FIELD", "group": i} if {
	input.licence.pseudonymous
	some i, group in input.fields
	group.identifying
	not group.subject_key
}

# METADATA
# title: The order of pseudonymous rows tells nothing
# custom:
#   rule: R32
#   code: PSEUDONYMOUS
#   title_zh: 假名化许可
#   clause: "Measures 21, 52: usable but not visible; the grant asks for pseudonyms."
#   remedy: "Nothing to do."
obligations contains "shuffle" if input.licence.pseudonymous

fired contains "R32" if input.licence.pseudonymous

# METADATA
# title: The reasons for dropped groups, one per rule and code
reasons := {reason |
	some d in drops
	reason := {"rule": d.rule, "code": d.code, "groups": [e.group |
		some e in drops
		e.rule == d.rule
		e.code == d.code
	]}
}

# METADATA
# title: One action per field
# description: >-
#   The input groups the fields asked for by the facts the law speaks about (class, grant,
#   border default and so on), so the rules run once per kind of field and not once per field;
#   one comprehension then names each field. What no rule drops and the grant names, leaves.
package xinguan.fields

import data.xinguan.banks
import data.xinguan.border
import data.xinguan.callers
import data.xinguan.persons
import data.xinguan.publicity

drops := (((callers.drop | publicity.drop) | banks.drop) | persons.drop) | (border.drop | drop)

dropped := {d.group | some d in drops}

# METADATA
# title: Field to action
actions := {name: chosen |
	some i, group in input.fields
	chosen := action(i)
	some name in group.names
}

# METADATA
# title: The same fields, none of them leaving
none := {name: "drop" |
	some group in input.fields
	some name in group.names
}

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
	border.generalised[i]
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
# title: The reasons for dropped fields, one per rule and code
reasons := {reason |
	some d in drops
	reason := {"rule": d.rule, "code": d.code, "fields": sort({name |
		some e in drops
		e.rule == d.rule
		e.code == d.code
		some name in input.fields[e.group].names
	})}
}

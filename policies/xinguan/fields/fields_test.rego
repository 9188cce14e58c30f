package xinguan.fields_test

import data.xinguan.fixture_test as fixture

# GATE IDENTIFYING_FIELD
test_gate_identifying_field_fires if fixture.fires("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true], ["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_silent if fixture.silent("IDENTIFYING_FIELD", fixture.agency, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_fires_2 if fixture.fires("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true], ["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_silent_2 if fixture.silent("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true]])

# R32: pseudonymous grants
test_r32_pseudonymous_key if {
	answer := fixture.decided(fixture.agency, [["/licence/pseudonymous", true]])
	answer.fields == {"uscc": "pseudonym", "list_type": "allow"}
	"shuffle" in answer.obligations
}

test_r32_silent_without_pseudonyms if {
	answer := fixture.decided(fixture.agency, [])
	answer.fields == {"uscc": "allow", "list_type": "allow"}
	not "shuffle" in answer.obligations
}

test_reasons_name_all_fields_of_one_code if {
	groups := [
		["/fields/-", {"class": "C", "border": "A", "granted": true, "names": ["turnover", "profit"]}],
		["/fields/-", {"class": "C", "border": "D", "granted": true, "names": ["debt"]}],
	]
	reasons := fixture.decided(fixture.agency, groups).reasons
	reasons == {{"rule": "R41", "code": "NO_ENTERPRISE_AUTH", "fields": ["debt", "profit", "turnover"]}}
}

test_a_dropped_field_beside_allowed_ones_is_no_denial if {
	answer := fixture.decided(fixture.agency, [["/fields/-", {"class": "P0", "border": "A", "names": ["lei"]}]])
	answer.allow
	answer.fields.lei == "drop"
}

test_nothing_left_is_a_denial if {
	answer := fixture.decided(fixture.agency, [["/fields", [{"class": "P0", "border": "A", "names": ["lei"]}]]])
	not answer.allow
	answer.fields == {"lei": "drop"}
	answer.reasons == {{"rule": "R32", "code": "OUT_OF_SCOPE", "fields": ["lei"]}}
}

test_an_unknown_class_is_still_bound_to_the_grant if {
	answer := fixture.decided(fixture.agency, [["/fields", [{"class": "NEW", "border": "A", "names": ["lei"]}]]])
	not answer.allow
}

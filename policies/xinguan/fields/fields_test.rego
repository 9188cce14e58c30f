package xinguan.fields_test

import data.xinguan.fixture_test as fixture

# GATE IDENTIFYING_FIELD
test_gate_identifying_field_fires if fixture.fires("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true], ["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_silent if fixture.silent("IDENTIFYING_FIELD", fixture.agency, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_fires_2 if fixture.fires("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true], ["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "identifying": true, "names": ["name"]}]])

test_gate_identifying_field_silent_2 if fixture.silent("IDENTIFYING_FIELD", fixture.agency, [["/licence/pseudonymous", true]])

# R32: pseudonymous grants
test_r32_pseudonymous_key if {
	fixture.named(fixture.agency, [["/licence/pseudonymous", true]]) == {"uscc": "pseudonym", "list_type": "allow"}
	answer := fixture.decided(fixture.agency, [["/licence/pseudonymous", true]])
	"shuffle" in answer.obligations
}

test_r32_silent_without_pseudonyms if {
	fixture.named(fixture.agency, []) == {"uscc": "allow", "list_type": "allow"}
	answer := fixture.decided(fixture.agency, [])
	not "shuffle" in answer.obligations
}

test_reasons_name_all_fields_of_one_code if {
	groups := [
		["/fields/-", {"class": "C", "border": "A", "granted": true, "names": ["turnover", "profit"]}],
		["/fields/-", {"class": "C", "border": "D", "granted": true, "names": ["debt"]}],
	]
	{reason.code | some reason in fixture.decided(fixture.agency, groups).reasons} == {"NO_ENTERPRISE_AUTH"}
	fixture.about("NO_ENTERPRISE_AUTH", fixture.agency, groups) == {"debt", "profit", "turnover"}
}

test_a_dropped_field_beside_allowed_ones_is_no_denial if {
	lei := [["/fields/-", {"class": "P0", "border": "A", "names": ["lei"]}]]
	fixture.decided(fixture.agency, lei).allow
	fixture.named(fixture.agency, lei).lei == "drop"
}

test_nothing_left_is_a_denial if {
	lei := [["/fields", [{"class": "P0", "border": "A", "names": ["lei"]}]]]
	answer := fixture.decided(fixture.agency, lei)
	not answer.allow
	fixture.named(fixture.agency, lei) == {"lei": "drop"}
	answer.reasons == {{"rule": "R32", "code": "OUT_OF_SCOPE", "groups": [0]}}
}

test_an_unknown_class_is_still_bound_to_the_grant if {
	answer := fixture.decided(fixture.agency, [["/fields", [{"class": "NEW", "border": "A", "names": ["lei"]}]]])
	not answer.allow
}

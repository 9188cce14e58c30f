package xinguan.persons_test

import data.xinguan.fixture_test as fixture

# R42 NO_WRITTEN_CONSENT
test_r42_no_written_consent_fires if fixture.fires("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"]])

test_r42_no_written_consent_silent if fixture.silent("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"], ["/consent", fixture.consent]])

test_r42_no_written_consent_fires_2 if fixture.fires("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"], ["/consent", fixture.consent], ["/consent/mode", "GENERAL"]])

test_r42_no_written_consent_silent_2 if fixture.silent("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"], ["/consent", fixture.consent], ["/consent/mode", "WRITTEN"]])

test_r42_no_written_consent_fires_3 if fixture.fires("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "SOLE_PROP"]])

test_r42_no_written_consent_silent_3 if fixture.silent("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "LEGAL_ENTITY"]])

test_r42_no_written_consent_fires_4 if fixture.fires("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"]])

test_r42_no_written_consent_silent_4 if fixture.silent("NO_WRITTEN_CONSENT", fixture.bank, [["/request/subject_kind", "NATURAL_PERSON"], ["/caller/role", "PUBLIC_BODY"], ["/licence/kind", "STATUTORY"]])

# R31 NO_PERSONAL_LICENCE
test_r31_no_personal_licence_fires if fixture.fires("NO_PERSONAL_LICENCE", fixture.agency, [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["rep_token"]}]])

test_r31_no_personal_licence_silent if fixture.silent("NO_PERSONAL_LICENCE", fixture.agency, [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["rep_token"]}], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"]])

test_r42_no_written_consent_fires_5 if fixture.fires("NO_WRITTEN_CONSENT", fixture.bank, [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["rep_token"]}]])

test_r42_no_written_consent_silent_5 if fixture.silent("NO_WRITTEN_CONSENT", fixture.bank, [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["rep_token"]}], ["/consent", fixture.consent]])

# R31 KINDS_INSEPARABLE
test_r31_kinds_inseparable_fires if fixture.fires("KINDS_INSEPARABLE", fixture.agency, [["/product/columns", ["publicity_state"]]])

test_r31_kinds_inseparable_silent if fixture.silent("KINDS_INSEPARABLE", fixture.agency, [])

test_r31_kinds_inseparable_fires_2 if fixture.fires("KINDS_INSEPARABLE", fixture.agency, [["/product/columns", ["publicity_state"]]])

test_r31_kinds_inseparable_silent_2 if fixture.silent("KINDS_INSEPARABLE", fixture.agency, [["/product/columns", ["publicity_state"]], ["/product/subject_kinds", ["LEGAL_ENTITY", "GOV"]]])

test_r31_kinds_inseparable_fires_3 if fixture.fires("KINDS_INSEPARABLE", fixture.agency, [["/product/columns", ["publicity_state"]]])

test_r31_kinds_inseparable_silent_3 if fixture.silent("KINDS_INSEPARABLE", fixture.agency, [["/product/columns", ["publicity_state"]], ["/caller/role", "PUBLIC_BODY"], ["/licence/kind", "STATUTORY"]])

test_r31_kinds_inseparable_fires_4 if fixture.fires("KINDS_INSEPARABLE", fixture.partner, [["/product/columns", ["publicity_state"]]])

test_r31_kinds_inseparable_silent_4 if fixture.silent("KINDS_INSEPARABLE", fixture.partner, [])

# R04 PROHIBITED_FIELD
test_r04_prohibited_field_fires if fixture.fires("PROHIBITED_FIELD", fixture.body, [["/fields/-", {"class": "X", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["blood_type"]}]])

test_r04_prohibited_field_silent if fixture.silent("PROHIBITED_FIELD", fixture.body, [])

# R70 INCENTIVE_ONLY
test_r70_incentive_only_fires if fixture.fires("INCENTIVE_ONLY", fixture.agency, [["/product/name", "golden_coconut_score"]])

test_r70_incentive_only_silent if fixture.silent("INCENTIVE_ONLY", fixture.agency, [["/product/name", "golden_coconut_score"], ["/request/purpose", "DEPOSIT_FREE"]])

test_r70_incentive_only_fires_2 if fixture.fires("INCENTIVE_ONLY", fixture.body, [["/product/name", "golden_coconut_score"]])

test_r70_incentive_only_silent_2 if fixture.silent("INCENTIVE_ONLY", fixture.body, [])

# R71 PORT_PERSON_CLASS
test_r71_port_person_class_fires if fixture.fires("PORT_PERSON_CLASS", fixture.agency, [["/product/name", "port_clearance_credit"], ["/request/subject_kind", "NATURAL_PERSON"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"]])

test_r71_port_person_class_silent if fixture.silent("PORT_PERSON_CLASS", fixture.agency, [["/product/name", "port_clearance_credit"]])

test_r71_port_person_class_fires_2 if fixture.fires("PORT_PERSON_CLASS", fixture.agency, [["/product/name", "port_clearance_credit"], ["/request/subject_kind", "NATURAL_PERSON"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"], ["/switches/port_person_class", true]])

test_r71_port_person_class_silent_2 if fixture.silent("PORT_PERSON_CLASS", fixture.agency, [["/product/name", "port_clearance_credit"], ["/request/subject_kind", "NATURAL_PERSON"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"], ["/switches/port_person_class", true], ["/consent", fixture.consent]])

# R72 NOT_PLATFORM_OPERATOR
test_r72_not_platform_operator_fires if fixture.fires("NOT_PLATFORM_OPERATOR", fixture.agency, [["/caller/role", "PLATFORM_ENTERPRISE"], ["/licence/kind", "PLATFORM_AGREEMENT"], ["/platform_operators_only", false]])

test_r72_not_platform_operator_silent if fixture.silent("NOT_PLATFORM_OPERATOR", fixture.agency, [["/caller/role", "PLATFORM_ENTERPRISE"], ["/licence/kind", "PLATFORM_AGREEMENT"], ["/platform_operators_only", true]])

test_r72_not_platform_operator_fires_2 if fixture.fires("NOT_PLATFORM_OPERATOR", fixture.agency, [["/caller/role", "PLATFORM_ENTERPRISE"], ["/licence/kind", "PLATFORM_AGREEMENT"], ["/platform_operators_only", null]])

test_r72_not_platform_operator_silent_2 if fixture.silent("NOT_PLATFORM_OPERATOR", fixture.agency, [["/platform_operators_only", null]])

# R73 SPECIAL_REPORT_PERSON
test_r73_special_report_person_fires if fixture.fires("SPECIAL_REPORT_PERSON", fixture.agency, [["/request/purpose", "SPECIAL_REPORT"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"], ["/request/subject_kind", "NATURAL_PERSON"]])

test_r73_special_report_person_silent if fixture.silent("SPECIAL_REPORT_PERSON", fixture.agency, [["/request/purpose", "SPECIAL_REPORT"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"], ["/request/subject_kind", "NATURAL_PERSON"], ["/switches/natural_person_special_report", true]])

test_r73_special_report_person_fires_2 if fixture.fires("SPECIAL_REPORT_PERSON", fixture.agency, [["/request/purpose", "SPECIAL_REPORT"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"], ["/request/subject_kind", "NATURAL_PERSON"]])

test_r73_special_report_person_silent_2 if fixture.silent("SPECIAL_REPORT_PERSON", fixture.agency, [["/request/purpose", "SPECIAL_REPORT"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"]])

# R74 MEASURE_NOT_LISTED
test_r74_measure_not_listed_fires if fixture.fires("MEASURE_NOT_LISTED", fixture.body, [["/request/purpose", "RESTRICTION"], ["/request/measure", "BAN_FROM_TRAINS"]])

test_r74_measure_not_listed_silent if fixture.silent("MEASURE_NOT_LISTED", fixture.body, [["/request/purpose", "RESTRICTION"], ["/request/measure", "PUBLIC_FUNDS"]])

test_r74_measure_not_listed_fires_2 if fixture.fires("MEASURE_NOT_LISTED", fixture.body, [["/request/purpose", "RESTRICTION"]])

test_r74_measure_not_listed_silent_2 if fixture.silent("MEASURE_NOT_LISTED", fixture.body, [])

# R75 BOOLEAN_ONLY
test_r75_boolean_only_fires if fixture.fires("BOOLEAN_ONLY", fixture.agency, [["/request/purpose", "POLICY_REDEMPTION"]])

test_r75_boolean_only_silent if fixture.silent("BOOLEAN_ONLY", fixture.agency, [["/request/purpose", "POLICY_REDEMPTION"], ["/product/form", "VERIFY"]])

# R75 MINIMAL_ANSWER
test_r75_minimal_answer_fires if fixture.fires("MINIMAL_ANSWER", fixture.agency, [["/request/purpose", "LIST_CHECK"], ["/fields/-", {"class": "P0", "border": "A", "granted": true, "names": ["reason"]}]])

test_r75_minimal_answer_silent if fixture.silent("MINIMAL_ANSWER", fixture.agency, [["/request/purpose", "LIST_CHECK"]])

# R31: rows and masks
test_r31_rows_of_persons_are_filtered if {
	kinds := [["/licence/subject_kinds", ["LEGAL_ENTITY", "SOLE_PROP"]]]
	fixture.condition("subject_type", fixture.agency, kinds).value == ["LEGAL_ENTITY"]
}

test_r31_rows_of_persons_pass_with_a_personal_licence if {
	kinds := [
		["/licence/subject_kinds", ["LEGAL_ENTITY", "SOLE_PROP"]],
		["/licence/kind", "PERSONAL_CREDIT_LICENCE"],
	]
	fixture.condition("subject_type", fixture.agency, kinds).value == ["LEGAL_ENTITY", "SOLE_PROP"]
}

test_r31_rows_abroad_are_of_the_kind_asked_about if {
	kinds := [["/licence/subject_kinds", ["LEGAL_ENTITY", "SOLE_PROP"]]]
	fixture.condition("subject_type", fixture.partner, kinds).value == ["LEGAL_ENTITY"]
}

test_r31_personal_fields_are_masked if {
	phone := [["/fields/-", {"class": "PI", "border": "D", "granted": true, "names": ["phone"]}]]
	fixture.named(fixture.agency, phone).phone == "mask"
	"R31" in fixture.decided(fixture.agency, phone).rules
}

test_r31_personal_fields_are_clear_with_consent if {
	phone := [
		["/fields/-", {"class": "PI", "border": "D", "granted": true, "names": ["phone"]}],
		["/consent", fixture.consent],
	]
	fixture.named(fixture.bank, phone).phone == "allow"
	not "R31" in fixture.decided(fixture.bank, phone).rules
}

# R75: the duty
test_r75_minimal_answer_is_a_duty if {
	"minimal_answer" in fixture.decided(fixture.agency, [["/request/purpose", "LIST_CHECK"]]).obligations
}

test_r75_silent_duty_otherwise if {
	not "minimal_answer" in fixture.decided(fixture.agency, []).obligations
}

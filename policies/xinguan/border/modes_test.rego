package xinguan.border_test

import data.xinguan.fixture_test as fixture

# R52 XB_TERMS
test_r52_xb_terms_fires if fixture.fires("XB_TERMS", fixture.recognised, [["/recognition/terms", null]])

test_r52_xb_terms_silent if fixture.silent("XB_TERMS", fixture.recognised, [])

test_r52_xb_terms_fires_2 if fixture.fires("XB_TERMS", fixture.recognised, [["/recognition/terms/withdrawn_at", fixture.now]])

test_r52_xb_terms_silent_2 if fixture.silent("XB_TERMS", fixture.recognised, [["/recognition/terms/withdrawn_at", fixture.now + 1]])

test_r52_xb_terms_fires_3 if fixture.fires("XB_TERMS", fixture.recognised, [["/recognition/terms/not_before", fixture.now + 1]])

test_r52_xb_terms_silent_3 if fixture.silent("XB_TERMS", fixture.recognised, [["/recognition/terms/not_before", fixture.now]])

test_r52_xb_terms_fires_4 if fixture.fires("XB_TERMS", fixture.recognised, [["/recognition/terms/not_after", fixture.now]])

test_r52_xb_terms_silent_4 if fixture.silent("XB_TERMS", fixture.recognised, [["/recognition/terms/not_after", fixture.now + 1]])

test_r52_xb_terms_fires_5 if fixture.fires("XB_TERMS", fixture.recognised, [["/recognition/mode", ""], ["/recognition/terms/withdrawn_at", fixture.now]])

test_r52_xb_terms_silent_5 if fixture.silent("XB_TERMS", fixture.partner, [])

test_r52_xb_terms_fires_6 if fixture.fires("XB_TERMS", fixture.region, [["/recognition/terms", null]])

test_r52_xb_terms_silent_6 if fixture.silent("XB_TERMS", fixture.region, [])

# R52 XB_MODE
test_r52_xb_mode_fires if fixture.fires("XB_MODE", fixture.recognised, [["/recognition/terms/covers/mode", false]])

test_r52_xb_mode_silent if fixture.silent("XB_MODE", fixture.recognised, [])

test_r52_xb_mode_fires_2 if fixture.fires("XB_MODE", fixture.recognised, [["/recognition/mode", ""], ["/recognition/terms/covers/mode", false]])

test_r52_xb_mode_silent_2 if fixture.silent("XB_MODE", fixture.recognised, [["/recognition/mode", ""]])

# R52 XB_TERMS_PURPOSE
test_r52_xb_terms_purpose_fires if fixture.fires("XB_TERMS_PURPOSE", fixture.recognised, [["/recognition/terms/covers/purpose", false]])

test_r52_xb_terms_purpose_silent if fixture.silent("XB_TERMS_PURPOSE", fixture.recognised, [])

# R52 XB_TERMS_USE
test_r52_xb_terms_use_fires if fixture.fires("XB_TERMS_USE", fixture.recognised, [["/recognition/terms/covers/jurisdiction", false]])

test_r52_xb_terms_use_silent if fixture.silent("XB_TERMS_USE", fixture.recognised, [])

test_r52_xb_terms_use_fires_2 if fixture.fires("XB_TERMS_USE", fixture.recognised, [["/recognition/terms/covers/end_use", false]])

test_r52_xb_terms_use_silent_2 if fixture.silent("XB_TERMS_USE", fixture.recognised, [])

# R52 XB_MAPPING
test_r52_xb_mapping_fires if fixture.fires("XB_MAPPING", fixture.graded, [["/recognition/mapping", null]])

test_r52_xb_mapping_silent if fixture.silent("XB_MAPPING", fixture.graded, [])

test_r52_xb_mapping_fires_2 if fixture.fires("XB_MAPPING", fixture.graded, [["/recognition/mapping/withdrawn_at", fixture.now]])

test_r52_xb_mapping_silent_2 if fixture.silent("XB_MAPPING", fixture.graded, [["/recognition/mapping/withdrawn_at", fixture.now + 1]])

test_r52_xb_mapping_fires_3 if fixture.fires("XB_MAPPING", fixture.graded, [["/recognition/mapping/covers_purpose", false]])

test_r52_xb_mapping_silent_3 if fixture.silent("XB_MAPPING", fixture.graded, [])

test_r52_xb_mapping_fires_4 if fixture.fires("XB_MAPPING", fixture.graded, [["/recognition/mapping/covers_field", false]])

test_r52_xb_mapping_silent_4 if fixture.silent("XB_MAPPING", fixture.recognised, [])

# R70 INCENTIVE_ONLY
test_r70_incentive_only_fires if fixture.fires("INCENTIVE_ONLY", fixture.region, [["/product/name", "other_score"], ["/request/purpose", "CREDIT_EVALUATION"]])

test_r70_incentive_only_silent if fixture.silent("INCENTIVE_ONLY", fixture.region, [])

test_r70_incentive_only_fires_2 if fixture.fires("INCENTIVE_ONLY", fixture.region, [["/request/purpose", "ENTERPRISE_CREDIT"]])

test_r70_incentive_only_silent_2 if fixture.silent("INCENTIVE_ONLY", fixture.region, [["/request/purpose", "UTILITY_INCENTIVE"]])

# R54 XB_FIELD_TABLE
test_r54_xb_field_table_fires if fixture.fires("XB_FIELD_TABLE", fixture.recognised, [["/recognition/table", null]])

test_r54_xb_field_table_silent if fixture.silent("XB_FIELD_TABLE", fixture.recognised, [])

test_r54_xb_field_table_fires_2 if fixture.fires("XB_FIELD_TABLE", fixture.recognised, [["/recognition/mode", "STATUS_ONLY"], ["/recognition/table/withdrawn_at", fixture.now]])

test_r54_xb_field_table_silent_2 if fixture.silent("XB_FIELD_TABLE", fixture.recognised, [["/recognition/mode", "STATUS_ONLY"], ["/recognition/table", null]])

test_r54_xb_field_table_fires_3 if fixture.fires("XB_FIELD_TABLE", fixture.recognised, [["/recognition/table/not_before", fixture.now + 1]])

test_r54_xb_field_table_silent_3 if fixture.silent("XB_FIELD_TABLE", fixture.recognised, [["/recognition/table/not_before", fixture.now]])

# R54 XB_DESTINATION
test_r54_xb_destination_fires if fixture.fires("XB_DESTINATION", fixture.recognised, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "forbidden_there": true, "names": ["reason"]}]])

test_r54_xb_destination_silent if fixture.silent("XB_DESTINATION", fixture.recognised, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "names": ["reason"]}]])

# R54 XB_STATUS_FIELDS
test_r54_xb_status_fields_fires if fixture.fires("XB_STATUS_FIELDS", fixture.recognised, [["/recognition/mode", "STATUS_ONLY"]])

test_r54_xb_status_fields_silent if fixture.silent("XB_STATUS_FIELDS", fixture.recognised, [["/recognition/mode", "STATUS_ONLY"], ["/product/name", "legal_entity_base"], ["/fields", [{"class": "P0", "border": "A", "granted": true, "whitelisted": true, "names": ["reg_status"]}]]])

# R54 XB_ENTERPRISE_ONLY
test_r54_xb_enterprise_only_fires if fixture.fires("XB_ENTERPRISE_ONLY", fixture.recognised, [["/request/subject_kind", "SOLE_PROP"]])

test_r54_xb_enterprise_only_silent if fixture.silent("XB_ENTERPRISE_ONLY", fixture.recognised, [])

test_r54_xb_enterprise_only_fires_2 if fixture.fires("XB_ENTERPRISE_ONLY", fixture.graded, [["/request/subject_kind", "NATURAL_PERSON"]])

test_r54_xb_enterprise_only_silent_2 if fixture.silent("XB_ENTERPRISE_ONLY", fixture.region, [["/request/subject_kind", "NATURAL_PERSON"]])

# R54 XB_MODE_PRODUCT
test_r54_xb_mode_product_fires if fixture.fires("XB_MODE_PRODUCT", fixture.recognised, [["/product/name", "credit_report_check"]])

test_r54_xb_mode_product_silent if fixture.silent("XB_MODE_PRODUCT", fixture.recognised, [["/recognition/mode", "HASH_CHECK"], ["/product/name", "credit_report_check"]])

test_r54_xb_mode_product_fires_2 if fixture.fires("XB_MODE_PRODUCT", fixture.recognised, [["/recognition/mode", "HASH_CHECK"]])

test_r54_xb_mode_product_silent_2 if fixture.silent("XB_MODE_PRODUCT", fixture.recognised, [])

test_r54_xb_mode_product_fires_3 if fixture.fires("XB_MODE_PRODUCT", fixture.graded, [["/product/name", "company"]])

test_r54_xb_mode_product_silent_3 if fixture.silent("XB_MODE_PRODUCT", fixture.graded, [])

test_r54_xb_mode_product_fires_4 if fixture.fires("XB_MODE_PRODUCT", fixture.agency, [["/product/name", "credit_report_check"]])

test_r54_xb_mode_product_silent_4 if fixture.silent("XB_MODE_PRODUCT", fixture.agency, [])

# R66 XB_DESTINATION_AGE: records older than the destination keeps them
test_r66_xb_destination_age_is_a_condition if {
	predicate := fixture.condition("decided_on", fixture.recognised, [["/recognition/table/oldest", {"decided_on": "2023-11-18"}]])
	predicate.op == "ge"
	predicate.value == "2023-11-18"
}

test_r66_xb_destination_age_without_a_limit if {
	not fixture.condition("decided_on", fixture.recognised, [])
}

test_everything_in_order_is_allowed if {
	fixture.decided(fixture.recognised, []).allow
	fixture.decided(fixture.graded, []).allow
	fixture.decided(fixture.region, []).allow
}

test_the_decision_ends_with_the_terms if {
	fixture.decided(fixture.recognised, [["/recognition/terms/not_after", fixture.now + 7]]).valid_until == fixture.now + 7
	fixture.decided(fixture.graded, [["/recognition/mapping/withdrawn_at", fixture.now + 9]]).valid_until == fixture.now + 9
}

test_a_credential_without_terms_rests_on_licence_and_whitelist if {
	fixture.decided(fixture.recognised, [["/recognition/mode", "CREDENTIAL"], ["/recognition/terms", null]]).allow
	fixture.fires("XB_MODE", fixture.recognised, [["/recognition/mode", "CREDENTIAL"], ["/recognition/terms/covers/mode", false]])
}

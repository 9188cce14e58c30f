package xinguan.banks_test

import data.xinguan.fixture_test as fixture

# R40 PURPOSE
test_r40_purpose_fires if fixture.fires("PURPOSE", fixture.bank, [["/request/purpose", "CREDIT_EVALUATION"]])

test_r40_purpose_silent if fixture.silent("PURPOSE", fixture.bank, [["/request/purpose", "GUARANTEE"]])

test_r40_purpose_fires_2 if fixture.fires("PURPOSE", fixture.bank, [["/request/purpose", "SUPPLIER_VETTING"]])

test_r40_purpose_silent_2 if fixture.silent("PURPOSE", fixture.bank, [["/request/purpose", "SUPPLIER_VETTING"], ["/caller/role", "AGENCY"], ["/licence/kind", "ENTERPRISE_CREDIT_FILING"]])

# R41 NO_ENTERPRISE_AUTH
test_r41_no_enterprise_auth_fires if fixture.fires("NO_ENTERPRISE_AUTH", fixture.agency, [["/fields/-", {"class": "C", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["turnover"]}]])

test_r41_no_enterprise_auth_silent if fixture.silent("NO_ENTERPRISE_AUTH", fixture.agency, [["/fields/-", {"class": "C", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["turnover"]}], ["/consent", fixture.consent]])

test_r41_no_enterprise_auth_fires_2 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}]])

test_r41_no_enterprise_auth_silent_2 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent]])

test_r41_no_enterprise_auth_fires_3 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/names_caller", false]])

test_r41_no_enterprise_auth_silent_3 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/names_caller", true]])

test_r41_no_enterprise_auth_fires_4 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_purpose", false]])

test_r41_no_enterprise_auth_silent_4 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_purpose", true]])

test_r41_no_enterprise_auth_fires_5 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_product", false]])

test_r41_no_enterprise_auth_silent_5 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_product", true]])

test_r41_no_enterprise_auth_fires_6 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_subjects", false]])

test_r41_no_enterprise_auth_silent_6 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/covers_subjects", true]])

test_r41_no_enterprise_auth_fires_7 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/not_after", fixture.now]])

test_r41_no_enterprise_auth_silent_7 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/not_after", fixture.now + 1]])

test_r41_no_enterprise_auth_fires_8 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/not_before", fixture.now + 1]])

test_r41_no_enterprise_auth_silent_8 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/not_before", fixture.now]])

test_r41_no_enterprise_auth_fires_9 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/withdrawn_at", fixture.now]])

test_r41_no_enterprise_auth_silent_9 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.bank, [["/product/form", "SCORE"], ["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/consent", fixture.consent], ["/consent/withdrawn_at", fixture.now + 1]])

test_r41_no_enterprise_auth_fires_10 if fixture.fires("NO_ENTERPRISE_AUTH", fixture.agency, [["/fields/-", {"class": "C", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["turnover"]}]])

test_r41_no_enterprise_auth_silent_10 if fixture.silent("NO_ENTERPRISE_AUTH", fixture.agency, [["/fields/-", {"class": "C", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["turnover"]}], ["/caller/role", "PUBLIC_BODY"], ["/licence/kind", "STATUTORY"]])

# R43 ROW_LEVEL_MODELLING
test_r43_row_level_modelling_fires if fixture.fires("ROW_LEVEL_MODELLING", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/request/subjects", 20]])

test_r43_row_level_modelling_silent if fixture.silent("ROW_LEVEL_MODELLING", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/request/subjects", 20], ["/product/form", "SCORE"]])

# R43 GROUP_TOO_SMALL
test_r43_group_too_small_fires if fixture.fires("GROUP_TOO_SMALL", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/product/form", "SCORE"], ["/request/subjects", 19]])

test_r43_group_too_small_silent if fixture.silent("GROUP_TOO_SMALL", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/product/form", "SCORE"], ["/request/subjects", 20]])

test_r43_group_too_small_fires_2 if fixture.fires("GROUP_TOO_SMALL", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/product/form", "SCORE"], ["/request/subjects", 0]])

test_r43_group_too_small_silent_2 if fixture.silent("GROUP_TOO_SMALL", fixture.bank, [["/request/purpose", "JOINT_MODELLING"], ["/product/form", "SCORE"], ["/request/subjects", 0], ["/request/whole_product", true]])

# R45 NO_SUBSIDY
subsidy(loan) := [["/request/purpose", "INTEREST_SUBSIDY"], ["/request/loan", loan]]

loan := {"amount_fen": 1000000000, "unsecured": true, "small_enterprise": true, "via_platform": true}

test_r45_no_subsidy_fires if fixture.fires("NO_SUBSIDY", fixture.bank, subsidy(object.union(loan, {"amount_fen": 1000000001})))

test_r45_no_subsidy_silent if fixture.silent("NO_SUBSIDY", fixture.bank, subsidy(loan))

test_r45_no_subsidy_fires_2 if fixture.fires("NO_SUBSIDY", fixture.bank, [["/request/purpose", "INTEREST_SUBSIDY"]])

test_r45_no_subsidy_silent_2 if fixture.silent("NO_SUBSIDY", fixture.bank, [["/request/purpose", "ENTERPRISE_CREDIT"]])

test_r45_no_subsidy_fires_3 if fixture.fires("NO_SUBSIDY", fixture.bank, subsidy(object.union(loan, {"unsecured": false})))

test_r45_no_subsidy_fires_4 if fixture.fires("NO_SUBSIDY", fixture.bank, subsidy(object.union(loan, {"small_enterprise": false})))

test_r45_no_subsidy_fires_5 if fixture.fires("NO_SUBSIDY", fixture.bank, subsidy(object.union(loan, {"via_platform": false})))

# R45 SUBSIDY
test_r45_subsidy_fires if "interest_subsidy" in fixture.decided(fixture.bank, subsidy(loan)).obligations

test_r45_subsidy_fired if "R45" in fixture.decided(fixture.bank, subsidy(loan)).rules

test_r45_subsidy_silent if not "interest_subsidy" in fixture.decided(fixture.bank, [["/request/purpose", "AFTER_LOAN"], ["/request/loan", loan]]).obligations

# R46 ONWARD_SUPPLY
test_r46_onward_supply_fires if fixture.fires("ONWARD_SUPPLY", fixture.bank, [["/request/scenario", "ONWARD_SUPPLY"]])

test_r46_onward_supply_silent if fixture.silent("ONWARD_SUPPLY", fixture.bank, [])

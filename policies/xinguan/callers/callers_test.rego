package xinguan.callers_test

import data.xinguan.fixture_test as fixture

# GATE PARTY_SUSPENDED
test_gate_party_suspended_fires if fixture.fires("PARTY_SUSPENDED", fixture.agency, [["/caller/status", "SUSPENDED"]])

test_gate_party_suspended_silent if fixture.silent("PARTY_SUSPENDED", fixture.agency, [])

# GATE CERTIFICATE_REVOKED
test_gate_certificate_revoked_fires if fixture.fires("CERTIFICATE_REVOKED", fixture.agency, [["/caller/certificate/status", "REVOKED"]])

test_gate_certificate_revoked_silent if fixture.silent("CERTIFICATE_REVOKED", fixture.agency, [])

# GATE CERTIFICATE_EXPIRED
test_gate_certificate_expired_fires if fixture.fires("CERTIFICATE_EXPIRED", fixture.agency, [["/caller/certificate/not_after", fixture.now - 1]])

test_gate_certificate_expired_silent if fixture.silent("CERTIFICATE_EXPIRED", fixture.agency, [["/caller/certificate/not_after", fixture.now]])

test_gate_certificate_expired_fires_2 if fixture.fires("CERTIFICATE_EXPIRED", fixture.agency, [["/caller/certificate/not_before", fixture.now + 1]])

test_gate_certificate_expired_silent_2 if fixture.silent("CERTIFICATE_EXPIRED", fixture.agency, [["/caller/certificate/not_before", fixture.now]])

# R30 NO_LICENCE
test_r30_no_licence_fires if fixture.fires("NO_LICENCE", fixture.agency, [["/licence", null]])

test_r30_no_licence_silent if fixture.silent("NO_LICENCE", fixture.agency, [])

test_r30_no_licence_fires_2 if fixture.fires("NO_LICENCE", fixture.agency, [["/licence/not_after", fixture.now]])

test_r30_no_licence_silent_2 if fixture.silent("NO_LICENCE", fixture.agency, [["/licence/not_after", fixture.now + 1]])

test_r30_no_licence_fires_3 if fixture.fires("NO_LICENCE", fixture.agency, [["/licence/not_before", fixture.now + 1]])

test_r30_no_licence_silent_3 if fixture.silent("NO_LICENCE", fixture.agency, [["/licence/not_before", fixture.now]])

test_r30_no_licence_fires_4 if fixture.fires("NO_LICENCE", fixture.agency, [["/licence/status", "SUSPENDED"]])

test_r30_no_licence_silent_4 if fixture.silent("NO_LICENCE", fixture.agency, [["/licence/status", "ACTIVE"]])

test_r30_no_licence_fires_5 if fixture.fires("NO_LICENCE", fixture.agency, [["/licence/party", "OTHER"]])

test_r30_no_licence_silent_5 if fixture.silent("NO_LICENCE", fixture.agency, [["/licence/party", "P"]])

test_r30_no_licence_fires_6 if fixture.fires("NO_LICENCE", fixture.agency, [["/licence/kind", "BANKING"]])

test_r30_no_licence_silent_6 if fixture.silent("NO_LICENCE", fixture.agency, [["/licence/kind", "OPERATION_AGREEMENT"]])

# R31 NO_PERSONAL_LICENCE
test_r31_no_personal_licence_fires if fixture.fires("NO_PERSONAL_LICENCE", fixture.agency, [["/request/subject_kind", "NATURAL_PERSON"]])

test_r31_no_personal_licence_silent if fixture.silent("NO_PERSONAL_LICENCE", fixture.agency, [["/request/subject_kind", "NATURAL_PERSON"], ["/licence/kind", "PERSONAL_CREDIT_LICENCE"]])

test_r31_no_personal_licence_fires_2 if fixture.fires("NO_PERSONAL_LICENCE", fixture.agency, [["/request/subject_kind", "SOLE_PROP"]])

test_r31_no_personal_licence_silent_2 if fixture.silent("NO_PERSONAL_LICENCE", fixture.agency, [["/request/subject_kind", "LEGAL_ENTITY"]])

# R32 OUT_OF_SCOPE
test_r32_out_of_scope_fires if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/product", false]])

test_r32_out_of_scope_silent if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/product", true]])

test_r32_out_of_scope_fires_2 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/purpose", false]])

test_r32_out_of_scope_silent_2 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/purpose", true]])

test_r32_out_of_scope_fires_3 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/scenario", false]])

test_r32_out_of_scope_silent_3 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/scenario", true]])

test_r32_out_of_scope_fires_4 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/destination", false]])

test_r32_out_of_scope_silent_4 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/destination", true]])

test_r32_out_of_scope_fires_5 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/subject_kind", false]])

test_r32_out_of_scope_silent_5 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/covers/subject_kind", true]])

test_r32_out_of_scope_fires_6 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/agreement/not_after", fixture.now]])

test_r32_out_of_scope_silent_6 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/agreement/not_after", fixture.now + 1]])

test_r32_out_of_scope_fires_7 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/licence/agreement/not_before", fixture.now + 1]])

test_r32_out_of_scope_silent_7 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/licence/agreement/not_before", fixture.now]])

test_r32_out_of_scope_fires_8 if fixture.fires("OUT_OF_SCOPE", fixture.agency, [["/fields/-", {"class": "P0", "border": "A", "names": ["lei"]}]])

test_r32_out_of_scope_silent_8 if fixture.silent("OUT_OF_SCOPE", fixture.agency, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["lei"]}]])

# R32 PUBLIC_PURPOSE
test_r32_public_purpose_fires if fixture.fires("PUBLIC_PURPOSE", fixture.agency, [["/request/purpose", "PUBLIC_EMPLOYMENT_VETTING"]])

test_r32_public_purpose_silent if fixture.silent("PUBLIC_PURPOSE", fixture.agency, [["/request/purpose", "PUBLIC_EMPLOYMENT_VETTING"], ["/caller/role", "PUBLIC_BODY"], ["/licence/kind", "STATUTORY"]])

# R33 UNREGISTERED_PRODUCT
test_r33_unregistered_product_fires if fixture.fires("UNREGISTERED_PRODUCT", fixture.agency, [["/product/registered", false]])

test_r33_unregistered_product_silent if fixture.silent("UNREGISTERED_PRODUCT", fixture.agency, [["/product/registered", false], ["/switches/require_registration", false]])

test_r33_unregistered_product_fires_2 if fixture.fires("UNREGISTERED_PRODUCT", fixture.agency, [["/product/registered", false]])

test_r33_unregistered_product_silent_2 if fixture.silent("UNREGISTERED_PRODUCT", fixture.agency, [["/product/registered", false], ["/caller/role", "PUBLIC_BODY"]])

# R34 RAW_EGRESS
test_r34_raw_egress_fires if fixture.fires("RAW_EGRESS", fixture.agency, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}]])

test_r34_raw_egress_silent if fixture.silent("RAW_EGRESS", fixture.agency, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/product/form", "SCORE"]])

test_r34_raw_egress_fires_2 if fixture.fires("RAW_EGRESS", fixture.agency, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}]])

test_r34_raw_egress_silent_2 if fixture.silent("RAW_EGRESS", fixture.agency, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/caller/role", "PUBLIC_BODY"], ["/licence/kind", "STATUTORY"]])

# R38 NO_PROVIDER_CONSENT
test_r38_no_provider_consent_fires if fixture.fires("NO_PROVIDER_CONSENT", fixture.agency, [["/licence/kind", "OPERATION_AGREEMENT"]])

test_r38_no_provider_consent_silent if fixture.silent("NO_PROVIDER_CONSENT", fixture.agency, [["/licence/kind", "OPERATION_AGREEMENT"], ["/licence/provider_consented", true]])

test_r38_no_provider_consent_silent_of_market_data if fixture.silent("NO_PROVIDER_CONSENT", fixture.agency, [["/licence/kind", "OPERATION_AGREEMENT"], ["/product/domain", "MARKET"]])

test_r38_no_provider_consent_silent_without_operation if fixture.silent("NO_PROVIDER_CONSENT", fixture.agency, [])

# GATE BAD_REQUEST
test_gate_bad_request_fires if fixture.fires("BAD_REQUEST", fixture.agency, [["/fields", []]])

test_gate_bad_request_silent if fixture.silent("BAD_REQUEST", fixture.agency, [])

# GATE SUBJECT_KIND_MISMATCH
test_gate_subject_kind_mismatch_fires if fixture.fires("SUBJECT_KIND_MISMATCH", fixture.agency, [["/request/subject_kind", "GOV"]])

test_gate_subject_kind_mismatch_silent if fixture.silent("SUBJECT_KIND_MISMATCH", fixture.agency, [])

# GATE PORTFOLIO_TOO_SMALL
test_gate_portfolio_too_small_fires if fixture.fires("PORTFOLIO_TOO_SMALL", fixture.agency, [["/licence/minimum_subjects", 50], ["/request/known_subjects", 49]])

test_gate_portfolio_too_small_silent if fixture.silent("PORTFOLIO_TOO_SMALL", fixture.agency, [["/licence/minimum_subjects", 50], ["/request/known_subjects", 50]])

# Whoever doesn't tell how many have something to show is refused.
test_gate_portfolio_too_small_uncounted if fixture.fires("PORTFOLIO_TOO_SMALL", fixture.agency, [["/licence/minimum_subjects", 50], ["/request/subjects", 90], ["/request/known_subjects", null]])

# GATE PORTFOLIO_OVERLAP
test_gate_portfolio_overlap_fires if fixture.fires("PORTFOLIO_OVERLAP", fixture.agency, [["/licence/minimum_subjects", 50], ["/licence/pseudonymous", true], ["/request/known_subjects", 50], ["/request/smallest_group", 49]])

test_gate_portfolio_overlap_silent if fixture.silent("PORTFOLIO_OVERLAP", fixture.agency, [["/licence/minimum_subjects", 50], ["/licence/pseudonymous", true], ["/request/known_subjects", 50], ["/request/smallest_group", 50]])

test_gate_portfolio_overlap_of_codes_silent if fixture.silent("PORTFOLIO_OVERLAP", fixture.agency, [["/licence/minimum_subjects", 50], ["/request/known_subjects", 50], ["/request/smallest_group", 1]])

test_all_reasons_are_told if {
	reasons := fixture.decided(fixture.agency, [["/licence", null], ["/stop_orders", [{"scope": "all", "index": 1}]]]).reasons
	{reason.code | some reason in reasons} == {"NO_LICENCE", "EMERGENCY_STOP"}
}

/* What is made of the Status by which a server refuses. */
#include "tests/unit/k8s/k8s_test.h"

#include "k8s/refusal.h"

static void check_refusal(const char *status, enum refusal expected, const char *text)
{
    CLEANUP_BUF struct buf got = BUF_INIT;
    json_t *json = parse(status);

    if (refusal_of(json) != expected)
        fail_msg("%s is %d", status, (int)refusal_of(json));
    refusal_add_text(json, &got);
    assert_string_equal(got.data, text);
    json_decref(json);
}

static void test_conflict(void **state)
{
    (void)state;
    check_refusal("{'code': 409, 'reason': 'Conflict', 'message': 'Apply failed with 2 conflicts', "
                  "'details': {'causes': [{'reason': 'FieldManagerConflict', 'field': "
                  "'.spec.replicas', 'message': 'conflict with \\\"kubectl\\\" using apps/v1'}, "
                  "{'reason': 'FieldManagerConflict', 'field': '.data.k', 'message': "
                  "'conflict with somebody'}]}}",
                  REFUSAL_CONFLICT,
                  "others manage fields that this would change:\n"
                  "  .spec.replicas: owned by kubectl\n"
                  "  .data.k: conflict with somebody\n"
                  "leave these fields out of the manifest, or take them over with "
                  "--force-conflicts");
}

static void test_immutable(void **state)
{
#define HINT                                                                                       \
    "\nthis cannot be changed in place: delete the object first, or let --replace delete it and "  \
    "create it anew"
    (void)state;
    check_refusal("{'code': 422, 'message': 'spec.selector: Invalid value: field is immutable'}",
                  REFUSAL_IMMUTABLE, "spec.selector: Invalid value: field is immutable" HINT);
    check_refusal("{'code': 422, 'message': 'spec: Forbidden: updates to statefulset spec for "
                  "fields other than x are forbidden'}",
                  REFUSAL_IMMUTABLE,
                  "spec: Forbidden: updates to statefulset spec for fields other than x are "
                  "forbidden" HINT);
    check_refusal("{'code': 422, 'message': 'roleRef: Invalid value: x: cannot change roleRef'}",
                  REFUSAL_IMMUTABLE, "roleRef: Invalid value: x: cannot change roleRef" HINT);
}

static void test_passing(void **state)
{
    (void)state;
    check_refusal("{'code': 403, 'message': 'pods \\\"p\\\" is forbidden: error looking up service "
                  "account n/default: not found'}",
                  REFUSAL_PASSING,
                  "pods \"p\" is forbidden: error looking up service account n/default: not found");
    check_refusal("{'code': 409, 'message': 'the object has been modified'}", REFUSAL_PASSING,
                  "the object has been modified");
    check_refusal("{'code': 500, 'message': 'failed calling webhook x'}", REFUSAL_PASSING,
                  "failed calling webhook x");
    check_refusal("{'code': 503, 'message': 'm'}", REFUSAL_PASSING, "m");
}

static void test_other(void **state)
{
    (void)state;
    check_refusal("{'code': 403, 'message': 'admission webhook denied it:\\nline 2'}",
                  REFUSAL_OTHER, "admission webhook denied it:\nline 2");
    check_refusal("{'code': 422, 'message': 'spec.replicas: Invalid value: -1'}", REFUSAL_OTHER,
                  "spec.replicas: Invalid value: -1");
    check_refusal("{'code': 500, 'message': 'm'}", REFUSAL_OTHER, "m");
    assert_int_equal(refusal_of(NULL), REFUSAL_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_immutable),
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

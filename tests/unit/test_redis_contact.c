/* Whether Redis answers: the pauses between two tries, and what is remembered. */
#include "aggregator/redis_contact.h"
#include "tests/unit/unit.h"

static const struct redis_options redis = {.host = "redis.example", .port = 6379};

static void pauses_double_up_to_the_most(void **state)
{
    struct redis_contact contact = {.redis = &redis};
    uint64_t due_ms = REDIS_CONTACT_FIRST_MS;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(redis_contact_failed(&contact, "refused"), due_ms);
        due_ms = 2 * due_ms < REDIS_CONTACT_MOST_MS ? 2 * due_ms : REDIS_CONTACT_MOST_MS;
    }
    assert_int_equal(contact.backoff_ms, REDIS_CONTACT_MOST_MS);
    assert_false(contact.reached);
}

static void an_answer_begins_anew(void **state)
{
    struct redis_contact contact = {.redis = &redis};

    (void)state;
    assert_int_equal(redis_contact_failed(&contact, "refused"), REDIS_CONTACT_FIRST_MS);
    assert_int_equal(redis_contact_failed(&contact, "refused"), 2 * REDIS_CONTACT_FIRST_MS);
    redis_contact_answered(&contact, 1234);
    assert_true(contact.reached);
    assert_int_equal(contact.answered_ms, 1234);
    assert_int_equal(contact.backoff_ms, 0);
    assert_int_equal(redis_contact_failed(&contact, "refused"), REDIS_CONTACT_FIRST_MS);
    assert_true(contact.reached);
    assert_int_equal(contact.answered_ms, 1234);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_the_most),
        cmocka_unit_test(an_answer_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

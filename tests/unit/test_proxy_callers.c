/* Who is behind a port: nobody until it is said, and no more once it is over. */
#include "http/proxy_callers.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>

#define ROUNDS 20000

static const char four[NETWORK_NAME_BYTES] = "192.0.2.1", six[NETWORK_NAME_BYTES] = "2001:db8::1";

static void get_tells_what_was_set_until_it_is_cleared(void **state)
{
    struct proxy_callers *callers = proxy_callers_create();
    char name[NETWORK_NAME_BYTES] = "unchanged";

    (void)state;
    assert_non_null(callers);
    assert_int_equal(proxy_callers_get(callers, 4000), PROXY_CALLER_NONE);
    assert_false(proxy_callers_name(callers, 4000, name));
    assert_string_equal(name, "unchanged");

    proxy_callers_set(callers, 4000, PROXY_CALLER_CLIENT, four);
    proxy_callers_set(callers, 65535, PROXY_CALLER_VERIFIED, six);
    assert_int_equal(proxy_callers_get(callers, 4000), PROXY_CALLER_CLIENT);
    assert_int_equal(proxy_callers_get(callers, 65535), PROXY_CALLER_VERIFIED);
    assert_int_equal(proxy_callers_get(callers, 4001), PROXY_CALLER_NONE);
    assert_true(proxy_callers_name(callers, 4000, name));
    assert_string_equal(name, "192.0.2.1");

    proxy_callers_clear(callers, 4000);
    assert_int_equal(proxy_callers_get(callers, 4000), PROXY_CALLER_NONE);
    assert_false(proxy_callers_name(callers, 4000, name));
    assert_int_equal(proxy_callers_get(callers, 65535), PROXY_CALLER_VERIFIED);
    proxy_callers_destroy(callers);
    proxy_callers_destroy(NULL);
}

static void get_of_what_is_no_port_is_nobody(void **state)
{
    struct proxy_callers *callers = proxy_callers_create();

    (void)state;
    assert_non_null(callers);
    for (int port = -1; port <= 65536; port += port < 0 ? 1 : 65536)
        assert_int_equal(proxy_callers_get(callers, port), PROXY_CALLER_NONE);
    proxy_callers_destroy(callers);
}

static void *read_names(void *argument)
{
    char name[NETWORK_NAME_BYTES];

    for (int i = 0; i < ROUNDS; i++) {
        if (proxy_callers_name(argument, 5, name))
            assert_true(!strcmp(name, four) || !strcmp(name, six));
    }
    return NULL;
}

static void names_are_whole_while_they_change(void **state)
{
    struct proxy_callers *callers = proxy_callers_create();
    pthread_t reader;

    (void)state;
    assert_non_null(callers);
    assert_int_equal(pthread_create(&reader, NULL, read_names, callers), 0);
    for (int i = 0; i < ROUNDS; i++) {
        proxy_callers_set(callers, 5, PROXY_CALLER_CLIENT, i % 2 ? four : six);
        proxy_callers_clear(callers, 5);
    }
    pthread_join(reader, NULL);
    proxy_callers_destroy(callers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_tells_what_was_set_until_it_is_cleared),
        cmocka_unit_test(get_of_what_is_no_port_is_nobody),
        cmocka_unit_test(names_are_whole_while_they_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

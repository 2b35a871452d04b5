/* Who is connected to the front: so many of an address, and freed only after their last event. */
#include "common/hash.h"
#include "http/guests.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct hash_key key = {7, 8};

static struct guest *admit(struct guests *guests, const char *text)
{
    struct sockaddr_storage address;

    memset(&address, 0, sizeof address);
    address.ss_family = AF_INET;
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr) != 1) {
        address.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&address)->sin6_addr),
                         1);
    }
    return guests_admit(guests, (struct sockaddr *)&address);
}

static void admit_past_the_limit_is_refused_until_one_is_dismissed(void **state)
{
    struct guests *guests = guests_create(&key, 4, 2);
    struct guest *first, *second;

    (void)state;
    assert_non_null(guests);
    first = admit(guests, "192.0.2.1");
    second = admit(guests, "::ffff:192.0.2.1");
    assert_non_null(first);
    assert_non_null(second);
    assert_string_equal(second->name, "192.0.2.1");
    assert_null(admit(guests, "192.0.2.1"));
    assert_int_equal(errno, EUSERS);
    assert_int_equal(guests_count(guests), 2);

    guests_dismiss(guests, first);
    assert_true(first->gone); /* it may be asked until it is freed */
    assert_int_equal(guests_count(guests), 1);
    first = admit(guests, "192.0.2.1");
    assert_non_null(first);
    assert_null(admit(guests, "192.0.2.1"));

    guests_free_gone(guests);
    assert_ptr_equal(guests_first(guests), second);
    assert_ptr_equal(guests_next(second), first);
    assert_null(guests_next(first));
    guests_dismiss(guests, first);
    guests_dismiss(guests, second);
    assert_null(guests_first(guests));
    guests_destroy(guests);
}

/* The IPv6 one begins with the bytes of the IPv4 one. */
static void admit_of_other_families_counts_apart(void **state)
{
    struct guests *guests = guests_create(&key, 4, 1);
    struct guest *four = admit(guests, "32.1.13.184"), *six = admit(guests, "2001:db8::1");

    (void)state;
    assert_non_null(four);
    assert_non_null(six);
    assert_null(admit(guests, "2001:db8::2"));
    guests_dismiss(guests, four);
    guests_dismiss(guests, six);
    guests_destroy(guests);
    guests_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admit_past_the_limit_is_refused_until_one_is_dismissed),
        cmocka_unit_test(admit_of_other_families_counts_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

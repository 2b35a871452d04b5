/* Which addresses are one network: IPv4 addresses, IPv6 /64, and never one with the other. */
#include "common/network.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static struct sockaddr_storage parse(const char *text)
{
    struct sockaddr_storage out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out;

    memset(&out, 0xff, sizeof out); /* what is no address must not matter */
    out.ss_family = AF_INET;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        return out;
    out.ss_family = AF_INET6;
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        return out;
    out.ss_family = AF_UNIX;
    return out;
}

static struct network network(const char *text)
{
    struct sockaddr_storage address = parse(text);

    return network_of((struct sockaddr *)&address);
}

static void of_addresses_of_one_network_is_equal(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1", "::ffff:192.0.2.1"},
        {"2001:db8:1:2::", "2001:db8:1:2:ffff:ffff:ffff:ffff"},
        {"::1", "::ffff:ffff:ffff:ffff"}, /* no mapped address: ::/64 */
        {"::192.0.2.1", "::1"},           /* nor the old form of one */
        {"no address", "another"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct network one = network(pairs[i][0]), other = network(pairs[i][1]);

        assert_int_equal(network_compare(&one, &other), 0);
    }
}

/* Each of them is in a network of its own. */
static void of_addresses_of_other_networks_differs(void **state)
{
    static const char *const texts[] = {
        "192.0.2.1",          "192.0.2.2",   "193.0.2.1",   "2001:db8:1:2::1",
        "2001:db8:1:3::1",    "2001:db8::1", "32.1.13.184", /* 2001:db8:: begins with its bytes */
        "::ffff:32.1.13.185", "::1",         "0.0.0.0",     "127.0.0.1",
        "64:ff9b::192.0.2.1", "no address",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            struct network one = network(texts[i]), other = network(texts[j]);

            assert_int_not_equal(network_compare(&one, &other), 0);
            assert_true((network_compare(&one, &other) < 0) == (network_compare(&other, &one) > 0));
        }
    }
}

static void name_address_writes_the_whole_of_it(void **state)
{
    static const char *const cases[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:db8:1:2::3", "2001:db8:1:2::3"},
        {"::1", "::1"},
        {"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666"},
        {"no address", "?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage address = parse(cases[i][0]);
        char name[NETWORK_NAME_BYTES];

        network_name_address((struct sockaddr *)&address, name);
        assert_string_equal(name, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_addresses_of_one_network_is_equal),
        cmocka_unit_test(of_addresses_of_other_networks_differs),
        cmocka_unit_test(name_address_writes_the_whole_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

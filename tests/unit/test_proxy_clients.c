/* The clients of the TLS proxy: so many of an address, and freed only after their last event. */
#include "common/hash.h"
#include "http/proxy_clients.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct hash_key key = {7, 8};

static struct proxy_client *add(struct proxy_clients *clients, const char *text)
{
    struct sockaddr_storage address;

    memset(&address, 0, sizeof address);
    address.ss_family = AF_INET;
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr) != 1) {
        address.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&address)->sin6_addr),
                         1);
    }
    return proxy_clients_add(clients, (struct sockaddr *)&address);
}

static void add_past_the_limit_is_refused_until_one_is_removed(void **state)
{
    struct proxy_clients *clients = proxy_clients_create(&key, 4, 2);
    struct proxy_client *first, *second;

    (void)state;
    assert_non_null(clients);
    first = add(clients, "192.0.2.1");
    second = add(clients, "::ffff:192.0.2.1");
    assert_non_null(first);
    assert_non_null(second);
    assert_string_equal(second->name, "192.0.2.1");
    assert_null(add(clients, "192.0.2.1"));
    assert_int_equal(errno, EUSERS);
    assert_int_equal(proxy_clients_count(clients), 2);

    proxy_clients_remove(clients, first);
    assert_true(first->removed); /* it may be asked until it is freed */
    assert_int_equal(proxy_clients_count(clients), 1);
    first = add(clients, "192.0.2.1");
    assert_non_null(first);
    assert_null(add(clients, "192.0.2.1"));

    proxy_clients_free_removed(clients);
    assert_ptr_equal(proxy_clients_first(clients), second);
    assert_ptr_equal(proxy_clients_next(second), first);
    assert_null(proxy_clients_next(first));
    proxy_clients_remove(clients, first);
    proxy_clients_remove(clients, second);
    assert_null(proxy_clients_first(clients));
    proxy_clients_destroy(clients);
}

/* The IPv6 one begins with the bytes of the IPv4 one. */
static void add_of_other_families_counts_apart(void **state)
{
    struct proxy_clients *clients = proxy_clients_create(&key, 4, 1);
    struct proxy_client *four = add(clients, "32.1.13.184"), *six = add(clients, "2001:db8::1");

    (void)state;
    assert_non_null(four);
    assert_non_null(six);
    assert_null(add(clients, "2001:db8::2"));
    proxy_clients_remove(clients, four);
    proxy_clients_remove(clients, six);
    proxy_clients_destroy(clients);
    proxy_clients_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_past_the_limit_is_refused_until_one_is_removed),
        cmocka_unit_test(add_of_other_families_counts_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

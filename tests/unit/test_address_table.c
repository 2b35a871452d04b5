/* Connections an address: counted together by IPv4 address and by IPv6 /64, given back from any
 * thread. */
#include "common/address_table.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct hash_key key = {5, 6};

static struct sockaddr_storage parse(const char *text)
{
    struct sockaddr_storage out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out;

    memset(&out, 0, sizeof out);
    out.ss_family = AF_INET;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        return out;
    out.ss_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    return out;
}

static struct address *take(struct address_table *table, const char *text, uint64_t limit)
{
    struct sockaddr_storage peer = parse(text);

    return address_table_take(table, (struct sockaddr *)&peer, limit);
}

static void take_past_the_limit_is_refused_until_one_is_released(void **state)
{
    struct address_table *table = address_table_create(&key, 10);
    struct address *a, *b;

    (void)state;
    assert_non_null(table);
    a = take(table, "192.0.2.1", 2);
    b = take(table, "192.0.2.1", 2);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(take(table, "192.0.2.1", 2));
    assert_int_equal(errno, EUSERS);
    assert_non_null(take(table, "192.0.2.2", 2));
    address_table_release(a);
    assert_non_null(take(table, "192.0.2.1", 2));
    address_table_release(NULL);
    address_table_destroy(table);
}

static void take_of_equal_networks_counts_together(void **state)
{
    static const struct {
        const char *one, *other;
        int same;
    } cases[] = {
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", 1},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", 0},
        {"192.0.2.1", "::ffff:192.0.2.1", 1},
        {"192.0.2.1", "192.0.2.2", 0},
        {"::1", "127.0.0.1", 0},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address_table *table = address_table_create(&key, 10);

        assert_non_null(take(table, cases[i].one, 1));
        assert_int_equal(take(table, cases[i].other, 1) == NULL, cases[i].same);
        address_table_destroy(table);
    }
}

static void take_of_many_addresses_that_come_and_go_keeps_few(void **state)
{
    struct address_table *table = address_table_create(&key, 64);
    struct address *kept = take(table, "198.51.100.7", 1);
    char text[32];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(text, sizeof text, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        address_table_release(take(table, text, 1));
    }
    assert_null(take(table, "198.51.100.7", 1)); /* it was not dropped */
    address_table_release(kept);
    assert_non_null(take(table, "198.51.100.7", 1));
    address_table_destroy(table); /* the leak checker, and the bound in ARCHITECTURE.md */
}

/* ---- Main takes, another thread gives back -------------------------------------------------- */

#define ROUNDS 200000
#define SLOTS  256

struct torture {
    _Atomic(struct address *) slots[SLOTS];
    atomic_bool done;
};

static void *give_back(void *argument)
{
    struct torture *torture = argument;
    bool last;

    do {
        last = atomic_load(&torture->done);
        for (size_t i = 0; i < SLOTS; i++)
            address_table_release(atomic_exchange(&torture->slots[i], NULL));
    } while (!last);
    return NULL;
}

static void release_on_another_thread_never_loses_a_count(void **state)
{
    struct address_table *table = address_table_create(&key, 1);
    static struct torture torture;
    pthread_t thread;
    char text[32];

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, give_back, &torture), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct address *address, *none = NULL;

        snprintf(text, sizeof text, "10.0.0.%d", i % 200);
        address = take(table, text, SLOTS);
        assert_non_null(address);
        while (!atomic_compare_exchange_weak(&torture.slots[i % SLOTS], &none, address))
            none = NULL;
    }
    atomic_store(&torture.done, true);
    pthread_join(thread, NULL);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "10.0.0.%d", i);
        assert_non_null(take(table, text, 1)); /* all of them are at 0 */
    }
    address_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_past_the_limit_is_refused_until_one_is_released),
        cmocka_unit_test(take_of_equal_networks_counts_together),
        cmocka_unit_test(take_of_many_addresses_that_come_and_go_keeps_few),
        cmocka_unit_test(release_on_another_thread_never_loses_a_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

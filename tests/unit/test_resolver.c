/* Look-ups of names, by a getaddrinfo() of ours that takes as long as a test wants. */
#include "aggregator/resolver.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { SHORT_MS = 20, LONG_MS = 60000 };

static sem_t answers;              /* as many as may be given to "slow.test" */
static atomic_int asked, answered; /* the latter of "slow.test" */

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    if (!(hints->ai_flags & AI_NUMERICHOST) && strstr(name, ".test")) {
        atomic_fetch_add(&asked, 1);
        if (strcmp(name, "none.test") == 0)
            return EAI_NONAME;
        if (strcmp(name, "slow.test") == 0) {
            sem_wait(&answers);
            atomic_fetch_add(&answered, 1);
        }
        name = "192.0.2.7";
    }
    return __real_getaddrinfo(name, service, hints, found);
}

static int start(void **state)
{
    (void)state;
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    return sem_init(&answers, 0, 0);
}

static void assert_found(struct addrinfo *found, const char *address)
{
    char text[INET_ADDRSTRLEN];

    assert_non_null(found);
    assert_int_equal(found->ai_family, AF_INET);
    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr, text,
              sizeof text);
    assert_string_equal(text, address);
    freeaddrinfo(found);
}

static void find_an_address_asks_nobody(void **state)
{
    struct resolver resolver = {0};
    char error[ERROR_BYTES];
    struct addrinfo *found;

    (void)state;
    assert_found(resolver_find(&resolver, "127.0.0.1", 0, error), "127.0.0.1");
    found = resolver_find(&resolver, "::1", 0, error);
    assert_non_null(found);
    assert_int_equal(found->ai_family, AF_INET6);
    freeaddrinfo(found);
    assert_null(resolver.question);
    resolver_fini(&resolver);
}

static void find_a_name_asks_each_time(void **state)
{
    struct resolver resolver = {0};
    char error[ERROR_BYTES];

    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_found(resolver_find(&resolver, "redis.test", LONG_MS, error), "192.0.2.7");
        assert_int_equal(atomic_load(&asked), i);
    }
    resolver_fini(&resolver);
}

static void find_no_such_name_says_so(void **state)
{
    struct resolver resolver = {0};
    char error[ERROR_BYTES];

    (void)state;
    for (int i = 1; i <= 2; i++) {
        assert_null(resolver_find(&resolver, "none.test", LONG_MS, error));
        assert_non_null(strstr(error, "none.test"));
        assert_non_null(strstr(error, gai_strerror(EAI_NONAME)));
        assert_int_equal(atomic_load(&asked), i);
    }
    resolver_fini(&resolver);
}

static void find_gives_up_in_time_and_asks_no_second_time(void **state)
{
    struct resolver resolver = {0};
    char error[ERROR_BYTES];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_null(resolver_find(&resolver, "slow.test", SHORT_MS, error));
        assert_non_null(strstr(error, "no answer within 20 ms"));
    }
    sem_post(&answers);
    assert_found(resolver_find(&resolver, "slow.test", LONG_MS, error), "192.0.2.7");
    assert_int_equal(atomic_load(&asked), 1);
    sem_post(&answers);
    assert_found(resolver_find(&resolver, "slow.test", LONG_MS, error), "192.0.2.7");
    assert_int_equal(atomic_load(&asked), 2);
    resolver_fini(&resolver);
}

/* Sanitizers see to it that nothing is left, and nothing used that is gone. */
static void fini_before_and_after_the_answer_is_clean(void **state)
{
    struct resolver resolver = {0};
    char error[ERROR_BYTES];

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_null(resolver_find(&resolver, "slow.test", 1, error));
        if (i % 2)
            sem_post(&answers);
        if (i % 4 == 1)
            usleep(5000);
        resolver_fini(&resolver);
        assert_null(resolver.question);
        if (i % 2 == 0)
            sem_post(&answers);
        while (atomic_load(&answered) == i)
            usleep(100);
    }
    usleep(50000); /* the last threads end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(find_an_address_asks_nobody, start),
        cmocka_unit_test_setup(find_a_name_asks_each_time, start),
        cmocka_unit_test_setup(find_no_such_name_says_so, start),
        cmocka_unit_test_setup(find_gives_up_in_time_and_asks_no_second_time, start),
        cmocka_unit_test_setup(fini_before_and_after_the_answer_is_clean, start),
    };

    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}

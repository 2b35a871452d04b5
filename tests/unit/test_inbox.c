/* The inbox: what was put in comes out, whole and in order; a full one takes no more. */
#include "common/thread.h"
#include "server/inbox.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

/* Not looked into: an item only carries it. */
static struct address *address_of(int n)
{
    static char places[1 << 16];

    return (struct address *)&places[n];
}

static bool is_readable(const struct inbox *inbox)
{
    struct pollfd poll_fd = {.fd = inbox_fd(inbox), .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static size_t take(struct inbox *inbox, struct inbox_item *items, size_t room)
{
    size_t count;

    thread_adopt(THREAD_WORKER, "worker");
    count = inbox_take(inbox, items, room);
    thread_adopt(THREAD_MAIN, "main");
    return count;
}

static void take_from_an_empty_one_gives_none(void **state)
{
    struct inbox *inbox = inbox_create();
    struct inbox_item item;

    (void)state;
    assert_non_null(inbox);
    assert_false(is_readable(inbox));
    assert_int_equal(take(inbox, &item, 1), 0);
    inbox_destroy(inbox);
}

static void take_gives_items_in_order_and_no_more_than_room(void **state)
{
    struct inbox *inbox = inbox_create();
    struct inbox_item items[4];

    (void)state;
    assert_non_null(inbox);
    for (int n = 0; n < 5; n++)
        assert_int_equal(inbox_put(inbox, n, address_of(n)), 0);
    assert_true(is_readable(inbox));
    assert_int_equal(take(inbox, items, 4), 4);
    for (int n = 0; n < 4; n++) {
        assert_int_equal(items[n].fd, n);
        assert_ptr_equal(items[n].address, address_of(n));
    }
    assert_int_equal(take(inbox, items, 4), 1);
    assert_int_equal(items[0].fd, 4);
    assert_false(is_readable(inbox));
    inbox_destroy(inbox);
}

static void put_into_a_full_one_fails_and_loses_nothing(void **state)
{
    struct inbox *inbox = inbox_create();
    struct inbox_item items[64];
    int put = 0, taken = 0, error = 0;
    size_t count;

    (void)state;
    assert_non_null(inbox);
    while (put < 1 << 16 && !(error = inbox_put(inbox, put, address_of(put))))
        put++;
    assert_int_equal(error, -EAGAIN);
    while ((count = take(inbox, items, 64))) {
        for (size_t i = 0; i < count; i++, taken++) {
            assert_int_equal(items[i].fd, taken);
            assert_ptr_equal(items[i].address, address_of(taken));
        }
    }
    assert_int_equal(taken, put);
    inbox_destroy(inbox);
}

static void destroy_of_null_does_nothing(void **state)
{
    (void)state;
    inbox_destroy(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_from_an_empty_one_gives_none),
        cmocka_unit_test(take_gives_items_in_order_and_no_more_than_room),
        cmocka_unit_test(put_into_a_full_one_fails_and_loses_nothing),
        cmocka_unit_test(destroy_of_null_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

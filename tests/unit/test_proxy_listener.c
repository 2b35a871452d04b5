/* The proxy's listening socket: what epoll tells of it, and what it does without descriptors. */
#include "http/proxy_listener.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

struct place {
    struct proxy_listener listener;
    int epoll_fd;
    struct sockaddr_in address;
};

static struct place *start(struct place *place)
{
    socklen_t length = sizeof place->address;

    memset(place, 0, sizeof *place);
    place->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(place->epoll_fd >= 0);
    assert_int_equal(proxy_listener_open(&place->listener, "127.0.0.1", 0, place->epoll_fd), 0);
    assert_int_equal(getsockname(place->listener.fd, (struct sockaddr *)&place->address, &length),
                     0);
    return place;
}

static void stop(struct place *place)
{
    proxy_listener_close(&place->listener);
    proxy_listener_close(&place->listener);
    close(place->epoll_fd);
}

static int connect_to(const struct place *place)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&place->address, sizeof place->address),
                     0);
    return fd;
}

/* True when epoll tells of a connection within so many milliseconds. */
static bool is_told(const struct place *place, int patience_ms)
{
    struct epoll_event event;

    if (epoll_wait(place->epoll_fd, &event, 1, patience_ms) != 1)
        return false;
    assert_ptr_equal(event.data.ptr, &place->listener);
    return true;
}

static void accept_gives_connections_and_then_none(void **state)
{
    struct sockaddr_storage from;
    struct place place;
    int client, fd;

    (void)state;
    client = connect_to(start(&place));
    assert_true(is_told(&place, PATIENCE_MS));
    fd = proxy_listener_accept(&place.listener, &from);
    assert_true(fd >= 0);
    assert_int_equal(from.ss_family, AF_INET);
    assert_int_equal(recv(fd, &from, 1, 0), -1); /* it does not block */
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(proxy_listener_accept(&place.listener, &from), -EAGAIN);
    close(fd);
    close(client);
    stop(&place);
}

static void paused_tells_of_no_connection_until_it_is_resumed(void **state)
{
    struct place place;
    int client;

    (void)state;
    proxy_listener_pause(&start(&place)->listener);
    client = connect_to(&place);
    assert_false(is_told(&place, 50));
    proxy_listener_resume(&place.listener);
    assert_true(is_told(&place, PATIENCE_MS));
    close(client);
    stop(&place);
}

static void accept_without_descriptors_pauses(void **state)
{
    struct sockaddr_storage from;
    struct rlimit before, none;
    struct place place;
    int client, fd;

    (void)state;
    client = connect_to(start(&place));
    assert_true(is_told(&place, PATIENCE_MS));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fd = proxy_listener_accept(&place.listener, &from);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(fd, -EAGAIN);
    assert_false(is_told(&place, 0));

    proxy_listener_resume(&place.listener); /* who waited is served then */
    assert_true(is_told(&place, PATIENCE_MS));
    fd = proxy_listener_accept(&place.listener, &from);
    assert_true(fd >= 0);
    close(fd);
    close(client);
    stop(&place);
}

static void open_of_a_port_in_use_says_so(void **state)
{
    struct proxy_listener second = {0};
    struct place place;

    (void)state;
    start(&place);
    assert_int_equal(
        proxy_listener_open(&second, "127.0.0.1", ntohs(place.address.sin_port), place.epoll_fd),
        -EADDRINUSE);
    proxy_listener_close(&second);
    stop(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_gives_connections_and_then_none),
        cmocka_unit_test(paused_tells_of_no_connection_until_it_is_resumed),
        cmocka_unit_test(accept_without_descriptors_pauses),
        cmocka_unit_test(open_of_a_port_in_use_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

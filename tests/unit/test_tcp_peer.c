/* Who is at the other end of a connection, with the kernel's answers made up. */
#include "http/tcp_peer.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define OWN_PORT  8000
#define PEER_PORT 5000

static struct sockaddr_storage own, peer;

/* The linker sends the library's calls here (--wrap). */
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *length);

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    (void)fd;
    memcpy(address, &own, *length);
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    (void)fd;
    memcpy(address, &peer, *length);
    return 0;
}

static struct sockaddr_storage parse(const char *text, uint16_t port)
{
    struct sockaddr_storage out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out;

    memset(&out, 0, sizeof out);
    out.ss_family = AF_INET;
    v4->sin_port = htons(port); /* where sin6_port is */
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        return out;
    out.ss_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    return out;
}

static struct tcp_peer read_peer(const char *text)
{
    struct tcp_peer read;

    own = parse("127.0.0.1", OWN_PORT);
    peer = parse(text, PEER_PORT);
    assert_true(tcp_peer_read(0, OWN_PORT, &read));
    assert_int_equal(read.port, PEER_PORT);
    return read;
}

static void read_of_connections_that_are_not_ours_is_refused(void **state)
{
    struct tcp_peer read;

    (void)state;
    peer = parse("192.0.2.1", PEER_PORT);
    own = parse("127.0.0.1", OWN_PORT + 1);
    assert_false(tcp_peer_read(0, OWN_PORT, &read));
    own = (struct sockaddr_storage){.ss_family = AF_UNIX};
    assert_false(tcp_peer_read(0, OWN_PORT, &read));
    own = parse("127.0.0.1", OWN_PORT);
    peer = parse("192.0.2.1", 0);
    assert_false(tcp_peer_read(0, OWN_PORT, &read));
}

static void is_equal_tells_networks_and_families_apart(void **state)
{
    static const struct {
        const char *one, *other;
        bool equal;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:0:0:9", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"32.1.13.184", "2001:db8::1", false}, /* the same four bytes, and then zeros */
        {"0.0.0.0", "::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tcp_peer one = read_peer(cases[i].one), other = read_peer(cases[i].other);

        assert_int_equal(tcp_peer_is_equal(&one, &other), cases[i].equal);
        other.port++;
        assert_false(tcp_peer_is_equal(&one, &other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_of_connections_that_are_not_ours_is_refused),
        cmocka_unit_test(is_equal_tells_networks_and_families_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

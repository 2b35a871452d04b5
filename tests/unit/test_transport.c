/* TLS over a pair of sockets, whose other end is a client that plays tricks with records. */
#include "common/tls.h"
#include "server/transport.h"
#include "tests/unit/tls_certificates.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#define ROUNDS 100 /* of a handshake, at most */

static struct made certificate;
static char buffer[1 << 18];

struct line {
    struct tls *tls;
    SSL_CTX *clients;
    SSL *client;
    struct transport server;
    int client_fd;
};

static void open_line(struct line *line, int version)
{
    const struct tls_files files = {.cert = certificate.cert, .key = certificate.key};
    char error[ERROR_BYTES];
    int fds[2], shaken = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    line->tls = tls_create(&files, error);
    line->clients = tls_connect_context(NULL, NULL, NULL, "h2", error);
    line->client = SSL_new(line->clients);
    line->client_fd = fds[1];
    SSL_set_max_proto_version(line->client, version);
    SSL_set_fd(line->client, fds[1]);
    SSL_set_connect_state(line->client);
    assert_int_equal(
        transport_init(&line->server, fds[0], tls_context(line->tls, "h2", true, true)), 0);
    for (int i = 0; i < ROUNDS && !(shaken == 1 && line->server.shaken); i++) {
        ERR_clear_error();
        shaken = SSL_do_handshake(line->client);
        assert_int_equal(transport_receive(&line->server, buffer, sizeof buffer), -EAGAIN);
    }
    assert_true(shaken == 1 && line->server.shaken);
}

static void close_line(struct line *line)
{
    transport_fini(&line->server);
    SSL_free(line->client);
    close(line->client_fd);
    SSL_CTX_free(line->clients);
    tls_destroy(line->tls);
}

static void update_keys(struct line *line, int count, int kind)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(SSL_key_update(line->client, kind), 1);
        assert_int_equal(SSL_do_handshake(line->client), 1);
    }
}

static ssize_t receive(struct line *line)
{
    return transport_receive(&line->server, buffer, sizeof buffer);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void receive_full_records_all_at_once(void **state)
{
    static char bytes[4 * 16384];
    struct line line;

    (void)state;
    open_line(&line, TLS1_3_VERSION);
    for (size_t sent = 0; sent < sizeof bytes; sent += 16384)
        assert_int_equal(SSL_write(line.client, bytes, 16384), 16384);
    assert_int_equal(receive(&line), sizeof bytes);
    assert_int_equal(receive(&line), -EAGAIN);
    close_line(&line);
}

static void receive_small_records_a_turn_ends(void **state)
{
    struct line line;
    ssize_t all = 0, n;
    int turns = 0;

    (void)state;
    open_line(&line, TLS1_3_VERSION);
    for (int i = 0; i < 200; i++)
        assert_int_equal(SSL_write(line.client, "a", 1), 1);
    while ((n = receive(&line)) > 0) {
        assert_true(n <= 64);
        all += n;
        turns++;
    }
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(all, 200);
    assert_true(turns >= 4);
    close_line(&line);
}

static void receive_key_updates_some_are_taken_many_refused(void **state)
{
    struct line line;
    ssize_t n = -EAGAIN;

    (void)state;
    open_line(&line, TLS1_3_VERSION);
    update_keys(&line, 20, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(SSL_write(line.client, "a", 1), 1);
    assert_int_equal(receive(&line), 1);
    update_keys(&line, 200, SSL_KEY_UPDATE_REQUESTED);
    for (int i = 0; i < 10 && n == -EAGAIN; i++)
        n = receive(&line);
    assert_int_equal(n, -EOVERFLOW);
    assert_int_equal(receive(&line), -EOVERFLOW);
    close_line(&line);
}

static void receive_renegotiation_fails(void **state)
{
    struct line line;
    ssize_t n = -EAGAIN;

    (void)state;
    open_line(&line, TLS1_2_VERSION);
    SSL_clear_options(line.client, SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(SSL_renegotiate(line.client), 1);
    for (int i = 0; i < 10 && n == -EAGAIN; i++) {
        assert_int_not_equal(SSL_do_handshake(line.client), 1);
        n = receive(&line);
    }
    assert_int_equal(n, -EPROTO);
    close_line(&line);
}

/* A peer that asks for a KeyUpdate and does not read. The answer goes before the next data, and as
 * long as it is stuck, OpenSSL does not read either. The socket is filled behind its back. */
static void receive_answer_is_stuck_wants_write(void **state)
{
    static char bytes[16384];
    struct line line;

    (void)state;
    open_line(&line, TLS1_3_VERSION);
    while (send(line.server.fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    while (send(line.server.fd, bytes, 1, MSG_DONTWAIT) > 0)
        ;
    update_keys(&line, 1, SSL_KEY_UPDATE_REQUESTED);
    assert_int_equal(receive(&line), -EAGAIN);
    assert_false(line.server.wants_write);
    assert_int_equal(transport_send(&line.server, "a", 1), -EAGAIN);
    assert_int_equal(SSL_write(line.client, "b", 1), 1);
    assert_int_equal(receive(&line), -EAGAIN);
    assert_true(line.server.wants_write);
    while (recv(line.client_fd, bytes, sizeof bytes, 0) > 0)
        ;
    assert_int_equal(receive(&line), 1);
    assert_false(line.server.wants_write);
    assert_int_equal(transport_send(&line.server, "a", 1), 1);
    close_line(&line);
}

static int make(void **state)
{
    struct maker maker;

    (void)state;
    assert_non_null(mkdtemp(certificates_directory));
    maker = certificates_make("server", NULL, false, 1, certificates_key());
    certificate = certificates_save("server", &maker);
    certificates_free(&maker);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    return certificates_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receive_full_records_all_at_once),
        cmocka_unit_test(receive_small_records_a_turn_ends),
        cmocka_unit_test(receive_key_updates_some_are_taken_many_refused),
        cmocka_unit_test(receive_renegotiation_fails),
        cmocka_unit_test(receive_answer_is_stuck_wants_write),
    };

    return cmocka_run_group_tests(tests, make, clear);
}

/* The client's side of a connection through TLS, against a server's side of ours. */
#include "client/conduit.h"
#include "common/tls.h"
#include "tests/unit/tls_certificates.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#define PIECE_BYTES 5000

static struct made ca_file, server_file;
static struct tls *tls;
static uint8_t store[65536], elsewhere[PIECE_BYTES];

struct rig {
    int fds[2];
    SSL *server;
    SSL_CTX *context;
    struct conduit conduit;
};

static void open_rig(struct rig *rig, const char *ca, const char *name)
{
    char error[ERROR_BYTES];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->fds), 0);
    rig->server = SSL_new(tls_context(tls, "h2", true, true));
    SSL_set_fd(rig->server, rig->fds[1]);
    SSL_set_accept_state(rig->server);
    rig->context = tls_connect_context(ca, NULL, NULL, "h2", error);
    assert_non_null(rig->context);
    assert_int_equal(conduit_init(&rig->conduit, rig->fds[0], rig->context, name), 0);
}

static void close_rig(struct rig *rig)
{
    conduit_fini(&rig->conduit);
    SSL_free(rig->server);
    SSL_CTX_free(rig->context);
    close(rig->fds[0]);
    close(rig->fds[1]);
}

static enum conduit_state shake(struct rig *rig)
{
    enum conduit_state state = CONDUIT_WANTS_READ;

    for (int i = 0; i < 100 && (state == CONDUIT_WANTS_READ || state == CONDUIT_WANTS_WRITE); i++) {
        state = conduit_open(&rig->conduit);
        SSL_do_handshake(rig->server);
    }
    return state;
}

static void open_name_and_ca_are_checked(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, ca_file.cert, "localhost");
    assert_int_equal(shake(&rig), CONDUIT_OPEN);
    close_rig(&rig);
    open_rig(&rig, ca_file.cert, "example.org");
    assert_int_equal(shake(&rig), CONDUIT_FAILED);
    assert_string_equal(rig.conduit.why, "the peer's certificate is refused: hostname mismatch");
    close_rig(&rig);
    open_rig(&rig, server_file.cert, "localhost"); /* as a CA it would sign nothing but itself */
    assert_int_equal(shake(&rig), CONDUIT_OPEN);
    close_rig(&rig);
}

static void open_no_tls_there_says_so(void **state)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    struct rig rig;

    (void)state;
    open_rig(&rig, ca_file.cert, "localhost");
    assert_int_equal(conduit_open(&rig.conduit), CONDUIT_WANTS_READ);
    assert_int_equal(write(rig.fds[1], settings, sizeof settings), sizeof settings);
    assert_int_equal(conduit_open(&rig.conduit), CONDUIT_FAILED);
    assert_string_equal(rig.conduit.why, "it does not speak TLS");
    close_rig(&rig);
}

static void open_closed_says_so(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, ca_file.cert, "localhost");
    assert_int_equal(conduit_open(&rig.conduit), CONDUIT_WANTS_READ);
    shutdown(rig.fds[1], SHUT_WR);
    assert_int_equal(conduit_open(&rig.conduit), CONDUIT_FAILED);
    assert_string_equal(rig.conduit.why, "it closed the connection; does it speak TLS?");
    close_rig(&rig);
}

static size_t fill(struct output *output, uint8_t *sent)
{
    size_t length = 0;

    while (output_pieces_left(output) >= 2) {
        uint8_t *head = output_claim(output, 9);

        assert_non_null(head);
        memset(head, (int)output->count, 9);
        memcpy(sent + length, head, 9);
        output_keep(output, 9);
        output_point(output, elsewhere, sizeof elsewhere);
        memcpy(sent + length + 9, elsewhere, sizeof elsewhere);
        length += 9 + sizeof elsewhere;
    }
    return length;
}

static void send_pieces_to_a_slow_reader_keeps_the_order(void **state)
{
    static uint8_t sent[OUTPUT_PIECES * PIECE_BYTES], got[OUTPUT_PIECES * PIECE_BYTES];
    const int small = 4096;
    struct output output;
    size_t length, have = 0;
    struct rig rig;
    int full = 0;

    (void)state;
    for (size_t i = 0; i < sizeof elsewhere; i++)
        elsewhere[i] = (uint8_t)(i * 7);
    open_rig(&rig, ca_file.cert, "localhost");
    setsockopt(rig.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    assert_int_equal(shake(&rig), CONDUIT_OPEN);
    output_init(&output, store, sizeof store);
    length = fill(&output, sent);
    for (int i = 0; i < 10000 && have < length; i++) {
        int result = conduit_send(&rig.conduit, &output), part;

        assert_true(result == 0 || result == -EAGAIN);
        full += result == -EAGAIN;
        part = SSL_read(rig.server, got + have, 3333);
        have += part > 0 ? (size_t)part : 0;
    }
    assert_true(full > 1);
    assert_int_equal(have, length);
    assert_memory_equal(got, sent, length);
    close_rig(&rig);
}

static void receive_until_the_end(void **state)
{
    struct rig rig;
    uint8_t byte;

    (void)state;
    open_rig(&rig, ca_file.cert, "localhost");
    assert_int_equal(shake(&rig), CONDUIT_OPEN);
    assert_int_equal(conduit_receive(&rig.conduit, &byte, 1), -EAGAIN);
    assert_int_equal(SSL_write(rig.server, "a", 1), 1);
    assert_int_equal(conduit_receive(&rig.conduit, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    SSL_shutdown(rig.server);
    assert_int_equal(conduit_receive(&rig.conduit, &byte, 1), 0);
    close_rig(&rig);

    open_rig(&rig, ca_file.cert, "localhost");
    assert_int_equal(shake(&rig), CONDUIT_OPEN);
    assert_int_equal(write(rig.fds[1], "no record at all", 16), 16);
    assert_int_equal(conduit_receive(&rig.conduit, &byte, 1), -ECONNABORTED);
    assert_non_null(rig.conduit.why);
    close_rig(&rig);
}

static int make_all(void **state)
{
    char error[ERROR_BYTES];
    struct maker ca, leaf;
    struct tls_files files;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(certificates_directory));
    ca = certificates_make("ca", NULL, true, 1, certificates_key());
    leaf = certificates_make("server", &ca, false, 1, certificates_key());
    ca_file = certificates_save("ca", &ca);
    server_file = certificates_save("server", &leaf);
    certificates_free(&ca);
    certificates_free(&leaf);
    files = (struct tls_files){.cert = server_file.cert, .key = server_file.key};
    tls = tls_create(&files, error);
    assert_non_null(tls);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    tls_destroy(tls);
    return certificates_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_name_and_ca_are_checked),
        cmocka_unit_test(open_no_tls_there_says_so),
        cmocka_unit_test(open_closed_says_so),
        cmocka_unit_test(send_pieces_to_a_slow_reader_keeps_the_order),
        cmocka_unit_test(receive_until_the_end),
    };

    return cmocka_run_group_tests(tests, make_all, remove_all);
}

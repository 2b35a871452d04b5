/*
 * Two ends of TLS over a pair of sockets, and the certificates that they show: what the tests of
 * common/tls.h share. make_all() and remove_all() are the group's set-up and tear-down.
 */
#ifndef TALLYD_TESTS_TLS_PAIR_H
#define TALLYD_TESTS_TLS_PAIR_H

#include "common/tls.h"
#include "tests/unit/tls_certificates.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#define ROUNDS 200 /* of a handshake, at most */

static struct maker ca, other_ca, old_ca;
static struct made ca_file, other_ca_file, old_ca_file;
static struct made server, next_server, expired, client, wrong_client, expired_client, old_client;

struct pair {
    SSL *server, *client;
    int fds[2];
};

/* One step of one side. Returns 1 when done, 0 when it waits, -1 when it failed. */
static inline int step(SSL *ssl)
{
    int result = SSL_do_handshake(ssl), error = SSL_get_error(ssl, result);

    if (result == 1)
        return 1;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static inline void open_pair(struct pair *pair, SSL_CTX *server_context, SSL_CTX *client_context)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    pair->server = SSL_new(server_context);
    pair->client = SSL_new(client_context);
    SSL_set_fd(pair->server, pair->fds[0]);
    SSL_set_fd(pair->client, pair->fds[1]);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

/* Shakes hands. True when both sides are content and a byte came through each way: in TLS 1.3 a
 * client learns only then that its certificate was refused. Left in `why`: the server's error. */
static char why[ERROR_BYTES];

static inline bool shake(struct pair *pair)
{
    int s = 0, c = 0;
    char byte;

    ERR_clear_error();
    why[0] = '\0';
    for (int i = 0; i < ROUNDS && (s == 0 || c == 0); i++) {
        if (c == 0)
            c = step(pair->client);
        ERR_clear_error();
        if (s == 0 && (s = step(pair->server)) < 0)
            tls_handshake_error(pair->server, why);
        ERR_clear_error();
    }
    return s == 1 && c == 1 && SSL_write(pair->client, "a", 1) == 1 &&
           SSL_read(pair->server, &byte, 1) == 1 && SSL_write(pair->server, "b", 1) == 1 &&
           SSL_read(pair->client, &byte, 1) == 1;
}

static inline void close_pair(struct pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static inline bool meet(SSL_CTX *server_context, SSL_CTX *client_context)
{
    struct pair pair;
    bool content;

    open_pair(&pair, server_context, client_context);
    content = shake(&pair);
    close_pair(&pair);
    return content;
}

static inline struct tls *create(const struct made *made, const char *client_ca)
{
    const struct tls_files files = {.cert = made->cert, .key = made->key, .client_ca = client_ca};
    char error[ERROR_BYTES] = "";
    struct tls *tls = tls_create(&files, error);

    if (!tls)
        print_error("%s\n", error);
    assert_non_null(tls);
    return tls;
}

static inline SSL_CTX *connect_as(const struct made *made, const char *alpn)
{
    char error[ERROR_BYTES] = "";
    SSL_CTX *context = tls_connect_context(ca_file.cert, made ? made->cert : NULL,
                                           made ? made->key : NULL, alpn, error);

    if (!context)
        print_error("%s\n", error);
    assert_non_null(context);
    return context;
}

static inline bool meet_as(SSL_CTX *server_context, const struct made *made, bool verified)
{
    SSL_CTX *context = connect_as(made, "h2");
    struct pair pair;
    bool content;

    open_pair(&pair, server_context, context);
    content = shake(&pair);
    if (content)
        assert_int_equal(tls_peer_verified(pair.server), verified);
    close_pair(&pair);
    SSL_CTX_free(context);
    return content;
}

static inline struct made issue(const char *name, const struct maker *maker, long days)
{
    struct maker leaf = certificates_make(name, maker, false, days, certificates_key());
    struct made made = certificates_save(name, &leaf);

    certificates_free(&leaf);
    return made;
}

static inline int make_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(certificates_directory));
    ca = certificates_make("ca", NULL, true, 1, certificates_key());
    other_ca = certificates_make("other-ca", NULL, true, 1, certificates_key());
    old_ca = certificates_make("old-ca", NULL, true, -1, certificates_key());
    ca_file = certificates_save("ca", &ca);
    other_ca_file = certificates_save("other-ca", &other_ca);
    old_ca_file = certificates_save("old-ca", &old_ca);
    server = issue("server", &ca, 1);
    next_server = issue("next-server", &ca, 1);
    expired = issue("expired", &ca, -1);
    client = issue("client", &ca, 1);
    wrong_client = issue("wrong-client", &other_ca, 1);
    expired_client = issue("expired-client", &ca, -1);
    old_client = issue("old-client", &old_ca, 1);
    return 0;
}

static inline int remove_all(void **state)
{
    (void)state;
    certificates_free(&ca);
    certificates_free(&other_ca);
    certificates_free(&old_ca);
    return certificates_remove();
}

#endif

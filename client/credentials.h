/*
 * What tally-send shows of itself, and whom it trusts: its TLS context and its token, from the
 * files that the options name. Called by: main.
 */
#ifndef TALLYD_CLIENT_CREDENTIALS_H
#define TALLYD_CLIENT_CREDENTIALS_H

#include "client/send_options.h"
#include "common/compiler.h"
#include "common/secret.h"
#include "common/tls.h"

#define CREDENTIALS_SCHEME "Bearer "

struct credentials {
    struct ssl_ctx_st *tls;  /* NULL: no TLS */
    const char *server_name; /* that the server's certificate must have; borrowed */
    char authorization[sizeof CREDENTIALS_SCHEME + SECRET_BYTES]; /* "": no token */
};

/* Reads the files. `options` is borrowed. Returns 0, or -EINVAL with one line in `error`, which
 * never has a secret in it. Whatever it returns, credentials_clear() releases them. */
int credentials_load(struct credentials *credentials, const struct send_options *options,
                     char error[ERROR_BYTES]) MUST_CHECK;

/* Frees the context, and wipes the token. */
void credentials_clear(struct credentials *credentials);

#endif

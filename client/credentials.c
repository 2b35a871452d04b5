/* See credentials.h. */
#include "client/credentials.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* What RFC 6750, section 2.1, lets a token be made of. Anything else could end the header. */
#define TOKEN_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

static int set_token(struct credentials *credentials, const char *token, const char *source,
                     char error[ERROR_BYTES])
{
    size_t length = strlen(token);

    if (!length || length >= SECRET_BYTES || strspn(token, TOKEN_CHARACTERS) != length) {
        snprintf(error, ERROR_BYTES,
                 "%.200s: this is no token: it is empty, too long, or has "
                 "characters that no token has",
                 source);
        return -EINVAL;
    }
    snprintf(credentials->authorization, sizeof credentials->authorization, "%s%s",
             CREDENTIALS_SCHEME, token);
    return 0;
}

static int load_token(struct credentials *credentials, const struct send_options *options,
                      char error[ERROR_BYTES])
{
    char token[SECRET_BYTES], why[ERROR_BYTES];
    int result;

    if (options->token)
        return set_token(credentials, options->token, "TALLY_TOKEN", error);
    if (!options->token_file)
        return 0;
    if (secret_read(options->token_file, token, why)) {
        snprintf(error, ERROR_BYTES, "--token-file %.200s: %.250s", options->token_file, why);
        return -EINVAL;
    }
    result = set_token(credentials, token, options->token_file, error);
    secret_wipe(token);
    return result;
}

int credentials_load(struct credentials *credentials, const struct send_options *options,
                     char error[ERROR_BYTES])
{
    const char *name = options->tls_server_name;

    memset(credentials, 0, sizeof *credentials);
    if (options->tls) {
        credentials->server_name = name ? name : options->server.host;
        credentials->tls = tls_connect_context(options->tls_ca ? options->tls_ca : TLS_SYSTEM_CA,
                                               options->tls_cert, options->tls_key, "h2", error);
        if (!credentials->tls)
            return -EINVAL;
        tls_warn_of(options->tls_cert, options->tls_key);
    }
    return load_token(credentials, options, error);
}

void credentials_clear(struct credentials *credentials)
{
    SSL_CTX_free(credentials->tls);
    explicit_bzero(credentials, sizeof *credentials);
}

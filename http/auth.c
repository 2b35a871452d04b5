/* See auth.h. What a wrong token was like is told to nobody: neither the client nor the log. */
#include "http/auth.h"

#include "http/http.h"
#include "http/reply.h"
#include "http/request.h"

#include <civetweb.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REALM "WWW-Authenticate: Bearer realm=\"tallyd\""

/* ---- Public paths --------------------------------------------------------------------------- */

/* Whether an entry of the list, of `length` bytes, names a known path. */
static bool names(const char *entry, size_t length, const char *known)
{
    size_t known_length = strlen(known);
    bool goes_on = known[known_length - 1] == '/';

    if (length == 2 && !memcmp(entry, "/*", 2))
        return true;
    return length == known_length + goes_on && !memcmp(entry, known, known_length) &&
           (!goes_on || entry[length - 1] == '*');
}

int auth_read_public(const char *list, const char *const *known, size_t count, uint64_t *set,
                     char error[ERROR_BYTES])
{
    *set = 0;
    while (*list) {
        size_t length = strcspn(list, ",");
        uint64_t found = 0;

        for (size_t i = 0; i < count; i++)
            found |= (uint64_t)names(list, length, known[i]) << i;
        if (!found) {
            snprintf(error, ERROR_BYTES,
                     "--http-public: \"%.*s\" is no path of the API; those are like /metrics, "
                     "/devices/* or /* for all, separated by commas alone",
                     (int)(length < 80 ? length : 80), list);
            return -EINVAL;
        }
        *set |= found;
        list += length + (list[length] == ',');
    }
    return 0;
}

/* ---- Requests ------------------------------------------------------------------------------- */

static const char *right_name(enum token_right right)
{
    return right == TOKEN_ADMIN ? "admin" : "read";
}

/* A request without credentials is told of no error (RFC 6750, 3.1): it may not have known. */
static int refuse_unknown(struct request *request, const char *authorization)
{
    if (!authorization) {
        reply_header(request, REALM);
        return reply_problem(request, 401,
                             "a token is needed, as \"Authorization: Bearer TOKEN\"; \"tallyd "
                             "token add\" makes one");
    }
    reply_header(request, REALM ", error=\"invalid_token\"");
    return reply_problem(request, 401, "the token is not known here, or was revoked");
}

static int refuse_right(struct request *request, enum token_right right)
{
    reply_header(request, REALM ", error=\"insufficient_scope\", scope=\"%s\"", right_name(right));
    return reply_problem(request, 403, "the token lacks the right \"%s\"", right_name(right));
}

static size_t count_headers(struct mg_connection *connection, const char *name)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    size_t count = 0;

    for (int i = 0; i < info->num_headers; i++)
        count += !strcasecmp(info->http_headers[i].name, name);
    return count;
}

/* Such a header is no list (RFC 9110, 5.3): a proxy may have judged the other one. */
static int refuse_two(struct request *request)
{
    reply_header(request, REALM ", error=\"invalid_request\"");
    return reply_problem(request, 400, "there must not be two Authorization headers");
}

int auth_admit(struct request *request, enum token_right right)
{
    struct tokens *tokens = request->shared->options->tokens;
    const char *authorization;

    if (!tokens)
        return 0;
    if (count_headers(request->connection, "Authorization") > 1)
        return refuse_two(request);
    authorization = mg_get_header(request->connection, "Authorization");
    request->token_generation = tokens_generation(tokens);
    if (authorization)
        request->principal = tokens_find(tokens, authorization, strlen(authorization));
    if (!request->principal)
        return refuse_unknown(request, authorization);
    if (!token_allows(request->principal->rights, right))
        return refuse_right(request, right);
    return 0;
}

bool auth_holds(struct request *request)
{
    struct tokens *tokens = request->shared->options->tokens;
    uint64_t generation;

    if (!request->principal)
        return true;
    generation = tokens_generation(tokens);
    if (generation == request->token_generation)
        return true;
    request->token_generation = generation;
    return tokens_hold(tokens, request->principal);
}

void auth_done(struct request *request)
{
    tokens_release(request->principal);
    request->principal = NULL;
}

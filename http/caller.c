/* See caller.h. The client CA in force now counts, not that of the handshake: one that was added
 * since shuts those out who have shown nothing. */
#include "http/caller.h"

#include "http/front.h"
#include "http/http.h"
#include "http/reply.h"
#include "http/request.h"

#include <civetweb.h>

static enum front_caller find_out(const struct request *request)
{
    return front_caller(request->shared->front,
                        mg_get_request_info(request->connection)->remote_port);
}

bool caller_is_welcome(const struct request *request)
{
    return !request->shared->front || find_out(request) != FRONT_STRANGER;
}

int caller_admit(struct request *request)
{
    const struct http_shared *shared = request->shared;

    if (!shared->front || !tls_asks_clients(shared->options->tls) ||
        find_out(request) == FRONT_VERIFIED)
        return 0;
    return reply_problem(request, 403,
                         "a client certificate is needed, signed by who --tls-client-ca says");
}

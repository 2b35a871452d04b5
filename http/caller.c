/* See caller.h. The client CA in force now counts, not that of the handshake: one that was added
 * since shuts those out who have shown nothing. */
#include "http/caller.h"

#include "http/http.h"
#include "http/proxy_callers.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/tls_proxy.h"

#include <civetweb.h>

static enum proxy_caller find_out(const struct request *request)
{
    return proxy_callers_get(tls_proxy_callers(request->shared->tls_proxy),
                             mg_get_request_info(request->connection)->remote_port);
}

bool caller_bypasses_tls(const struct request *request)
{
    return request->shared->tls_proxy && find_out(request) == PROXY_CALLER_NONE;
}

int caller_admit(struct request *request)
{
    const struct http_shared *shared = request->shared;

    if (!shared->tls_proxy || !tls_asks_clients(shared->options->tls) ||
        find_out(request) == PROXY_CALLER_VERIFIED)
        return 0;
    return reply_problem(request, 403,
                         "a client certificate is needed, signed by who --tls-client-ca says");
}

/* See caller.h. The client CA in force now counts, not that of the handshake: one that was added
 * since shuts those out who have shown nothing. */
#include "http/caller.h"

#include "http/http.h"
#include "http/proxy_callers.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/tls_proxy.h"

#include <civetweb.h>
#include <string.h>

#define PROXY_ADDRESS "127.0.0.1" /* from which local_socket_reach() connects */

/* By port and address: all of 127.0.0.0/8 is this host's, and on another address of it any process
 * may have the port that the proxy has on its own. */
static enum proxy_caller find_out(const struct request *request)
{
    const struct mg_request_info *info = mg_get_request_info(request->connection);

    if (strcmp(info->remote_addr, PROXY_ADDRESS) != 0)
        return PROXY_CALLER_NONE;
    return proxy_callers_get(tls_proxy_callers(request->shared->tls_proxy), info->remote_port);
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

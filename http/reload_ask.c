/* A signal is the way that main is asked anyway; it reads it when it gets to it. */
#include "http/reload_ask.h"

#include "common/log.h"
#include "common/tokens.h"
#include "http/http.h"
#include "http/reply.h"
#include "http/request.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

int reload_ask_serve(struct request *request)
{
    static const char reloading[] = "{\"status\":\"reloading\"}";

    if (atomic_load(request->shared->options->draining))
        return reply_problem(request, 503, "tallyd is stopping, and reads nothing again");
    log_info("%s asks by HTTP for a reload", request->principal->name);
    kill(getpid(), SIGHUP);
    return reply_body(request, 202, REPLY_JSON, reloading, strlen(reloading));
}

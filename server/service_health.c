/*
 * grpc.health.v1.Health: whether this server can be used, as a whole and for telemetry, which is
 * the same. It cannot while it drains, or while Redis is away for longer than the grace, since then
 * it refuses new streams.
 *
 * A watcher is told at once, and from then on when a tick finds a change. It may have one message
 * waiting: who reads slowly hears of the last change, not of all.
 */
#include "proto/grpc/health/v1/health.pb-c.h"
#include "server/call_private.h"
#include "server/service.h"

#include <string.h>

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckRequest request_message;

/* Which of the names of services that may be asked for; there is no status for others. */
static bool is_known(const char *service)
{
    return service[0] == '\0' || strcmp(service, "telemetry.TelemetryIngest") == 0;
}

static int serving_status(const struct call_context *context)
{
    bool away = context->draining || context->shutting_down ||
                commits_redis_down(context->commits, context->redis_grace_ms);

    return away ? STATUS(NOT_SERVING) : STATUS(SERVING);
}

static void tell(struct call *call, int status)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    service_send(call, &response.base);
}

/* The request; NULL when it is none, and the call has failed. */
static request_message *unpack(struct call *call, const uint8_t *bytes, size_t length)
{
    request_message *request = grpc__health__v1__health_check_request__unpack(NULL, length, bytes);

    if (!request)
        call_fail(call, GRPC_INTERNAL, "the request is not a grpc.health.v1.HealthCheckRequest");
    return request;
}

void service_health_check(struct call *call, const uint8_t *bytes, size_t length)
{
    request_message *request = unpack(call, bytes, length);

    if (!request)
        return;
    if (is_known(request->service))
        tell(call, serving_status(call->context));
    else
        call_fail(call, GRPC_NOT_FOUND, "unknown service");
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
}

void service_health_watch(struct call *call, const uint8_t *bytes, size_t length)
{
    request_message *request = unpack(call, bytes, length);

    if (!request)
        return;
    call->service->watches_known = is_known(request->service);
    call->service->told = STATUS(UNKNOWN); /* which no service has, so there is news */
    call->service->has_request = true;
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    service_health_tick(call);
}

void service_health_tick(struct call *call)
{
    struct service *service = call->service;
    int status;

    if (!service->has_request || call->output.sent < call->output.length)
        return;
    status = service->watches_known ? serving_status(call->context) : STATUS(SERVICE_UNKNOWN);
    if (status != service->told) {
        service->told = status;
        tell(call, status);
    }
}

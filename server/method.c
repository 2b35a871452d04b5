/* See method.h. The packets' method stands first, as it is nearly always the one. */
#include "server/method.h"

#include "proto/grpc.h"
#include "server/service.h"

#include <string.h>

static const struct method methods[] = {
    {
        .path = GRPC_PATH,
        .access = METHOD_INGEST,
    },
    {
        .path = "/grpc.health.v1.Health/Check",
        .request = service_health_check,
        .one_request = true,
    },
    {
        .path = "/grpc.health.v1.Health/Watch",
        .request = service_health_watch,
        .tick = service_health_tick,
        .one_request = true,
        .goes_on = true,
    },
    {
        .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        .access = METHOD_KNOWN,
        .request = service_reflection_request,
    },
    {
        .path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        .access = METHOD_KNOWN,
        .request = service_reflection_request,
    },
};

/* "/service/" of a path. */
static size_t service_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path) + 1;
}

const struct method *method_find(const uint8_t *path, size_t length, bool *known_service)
{
    *known_service = false;
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        const struct method *method = &methods[i];
        size_t service = service_length(method->path);

        if (length < service || memcmp(path, method->path, service) != 0)
            continue;
        *known_service = true;
        if (length == strlen(method->path) && memcmp(path, method->path, length) == 0)
            return method;
    }
    return NULL;
}

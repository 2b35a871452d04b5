/* See rpc_failure.h. */
#include "client/rpc_failure.h"

#include "common/compiler.h"

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <string.h>

enum grpc_status rpc_failure_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_status rpc_failure_of_reset(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

const char *rpc_failure_hint(enum grpc_status status, const char *message)
{
    static const struct {
        enum grpc_status status;
        const char *part; /* of the message */
        const char *hint;
    } hints[] = {
        {GRPC_UNAVAILABLE, "Connection refused", "is tallyd running? start it with scripts/run.sh"},
        {GRPC_UNAVAILABLE, "cannot resolve", "--target takes host:port, such as 127.0.0.1:50051"},
        {GRPC_UNAVAILABLE, "redis down",
         "tallyd runs, but has no usable Redis: its log says why (if scripts/run.sh started "
         "that Redis: Ctrl-C there, and run it again)"},
        {GRPC_UNAVAILABLE, "connection lost",
         "tallyd stopped, or speaks TLS only (then give --tls), or something between closed the "
         "connection; its log tells more"},
        {GRPC_UNAVAILABLE, "certificate is refused",
         "--tls-ca names who signed it, --tls-server-name the name that it has"},
        {GRPC_UNAVAILABLE, "certificate required",
         "tallyd has --tls-client-ca: show a certificate with --tls-cert and --tls-key"},
        {GRPC_UNAVAILABLE, "speak TLS", "leave out --tls where tallyd has no --tls-cert"},
        {GRPC_UNAUTHENTICATED, "",
         "--token-file names a file with a token; \"tallyd token list\" shows which ones count"},
        {GRPC_PERMISSION_DENIED, "",
         "\"tallyd token list\" shows what a token may do, and the prefix that --id-prefix needs"},
        {GRPC_UNAVAILABLE, "going away (NO_ERROR)",
         "tallyd is stopping, or renews its connections; send again"},
        {GRPC_UNAVAILABLE, "going away (ENHANCE_YOUR_CALM)",
         "tallyd takes this for an attack: its log says what there was too much of"},
        {GRPC_UNAVAILABLE, "going away", "its log says why it closes the connection"},
        {GRPC_UNAVAILABLE, "shutting down", "tallyd is stopping; send again once it is back"},
        {GRPC_UNAVAILABLE, "the server stopped",
         "none of that stream is confirmed; look at tallyd's log before sending it again"},
        {GRPC_UNAVAILABLE, "too many streams",
         "use fewer --connections or --streams, or wait until other clients ended theirs"},
        {GRPC_INTERNAL, "breaks the rules of HTTP/2",
         "--target must be tallyd's gRPC port (50051 unless changed), not its HTTP port"},
        {GRPC_UNIMPLEMENTED, "", "the server at --target is not tallyd, or a different version"},
        {GRPC_DEADLINE_EXCEEDED, "no progress",
         "Acks wait while Redis is away; --timeout-ms 0 waits without end"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(hints); i++) {
        if (hints[i].status == status && strstr(message, hints[i].part))
            return hints[i].hint;
    }
    return NULL;
}

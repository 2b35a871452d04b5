/*
 * grpc.reflection: what services there are, and the descriptors of their messages, so that tools
 * can call them without a .proto file. Versions v1 and v1alpha are the same on the wire.
 *
 * What cannot be found is an error_response, after which the call goes on. There are no extensions
 * in these files, so a message that there is has none.
 */
#include "proto/descriptors.h"
#include "proto/grpc/reflection/v1/reflection.pb-c.h"
#include "server/call_private.h"
#include "server/service.h"

#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

#define SERVICES_MAX 8

typedef Grpc__Reflection__V1__ServerReflectionRequest request_message;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;
typedef Grpc__Reflection__V1__ServiceResponse service_message;

/* What a response points to lives until it is sent, and it is not looked at after that.
 * NOLINTBEGIN(clang-analyzer-core.StackAddressEscape) */
static void send_error(struct call *call, response_message *response, enum grpc_status status,
                       const char *why)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

    error.error_code = status;
    error.error_message = (char *)why;
    response->message_response_case = RESPONSE(ERROR_RESPONSE);
    response->error_response = &error;
    service_send(call, &response->base);
}

static void send_file(struct call *call, response_message *response,
                      const struct descriptor_file *file)
{
    ProtobufCBinaryData bytes = {file->length, (uint8_t *)file->bytes};
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;

    files.n_file_descriptor_proto = 1;
    files.file_descriptor_proto = &bytes;
    response->message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
    response->file_descriptor_response = &files;
    service_send(call, &response->base);
}

static void send_no_extensions(struct call *call, response_message *response, char *type)
{
    Grpc__Reflection__V1__ExtensionNumberResponse numbers =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;

    numbers.base_type_name = type;
    response->message_response_case = RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE);
    response->all_extension_numbers_response = &numbers;
    service_send(call, &response->base);
}

static void send_services(struct call *call, response_message *response)
{
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    char names[SERVICES_MAX][DESCRIPTORS_NAME_BYTES];
    service_message services[SERVICES_MAX], *pointers[SERVICES_MAX];
    size_t n = 0;

    for (; n < SERVICES_MAX && descriptors_service(n, names[n]); n++) {
        grpc__reflection__v1__service_response__init(&services[n]);
        services[n].name = names[n];
        pointers[n] = &services[n];
    }
    list.n_service = n;
    list.service = pointers;
    response->message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
    response->list_services_response = &list;
    service_send(call, &response->base);
}

/* NOLINTEND(clang-analyzer-core.StackAddressEscape) */

static void respond(struct call *call, request_message *request, response_message *response)
{
    struct descriptor_file file;

    switch (request->message_request_case) {
    case REQUEST(LIST_SERVICES):
        send_services(call, response);
        break;
    case REQUEST(FILE_BY_FILENAME):
        if (descriptors_find_file(request->file_by_filename, &file))
            send_file(call, response, &file);
        else
            send_error(call, response, GRPC_NOT_FOUND, "there is no such file");
        break;
    case REQUEST(FILE_CONTAINING_SYMBOL):
        if (descriptors_find_symbol(request->file_containing_symbol, &file))
            send_file(call, response, &file);
        else
            send_error(call, response, GRPC_NOT_FOUND, "there is no such symbol");
        break;
    case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
        if (descriptors_find_symbol(request->all_extension_numbers_of_type, &file) ==
            DESCRIPTOR_MESSAGE)
            send_no_extensions(call, response, request->all_extension_numbers_of_type);
        else
            send_error(call, response, GRPC_NOT_FOUND, "there is no such message");
        break;
    case REQUEST(FILE_CONTAINING_EXTENSION):
        send_error(call, response, GRPC_NOT_FOUND, "there is no such extension");
        break;
    default:
        send_error(call, response, GRPC_INVALID_ARGUMENT, "the request asks for nothing known");
    }
}

void service_reflection_request(struct call *call, const uint8_t *bytes, size_t length)
{
    request_message *request =
        grpc__reflection__v1__server_reflection_request__unpack(NULL, length, bytes);
    response_message response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

    if (!request) {
        call_fail(call, GRPC_INTERNAL, "the request is not a ServerReflectionRequest");
        return;
    }
    response.valid_host = request->host;
    response.original_request = request;
    respond(call, request, &response);
    grpc__reflection__v1__server_reflection_request__free_unpacked(request, NULL);
}

// Swagger UI over this server's own description, and nothing from anywhere else.
"use strict";

window.SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    validatorUrl: null, // by default it sends the description's address to a server of its makers
    supportedSubmitMethods: ["get", "head", "post"],
    tryItOutEnabled: true,
    defaultModelsExpandDepth: 0,
});

// Draws the API docs from the gateway's own OpenAPI document.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null, // the default sends the document's address to a public server
});

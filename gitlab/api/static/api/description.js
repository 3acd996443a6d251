// The page of the API's operations. `SwaggerUIBundle` is in the script before this one.
const operations = document.getElementById("operations");
SwaggerUIBundle({
  url: operations.dataset.url,
  domNode: operations,
  deepLinking: true,
  // The sections, as a table of contents; what is not in sight is not drawn, so nobody could search.
  docExpansion: "none",
  filter: true,
  // Nothing of this leaves the page: no validator elsewhere is asked.
  validatorUrl: null,
  requestInterceptor(request) {
    // With the session of the pages, changes need the form's token.
    const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (cookie && new URL(request.url, location).origin === location.origin) {
      request.headers["X-CSRFToken"] = cookie[1];
    }
    return request;
  },
});

// The description of the HTTP interface, by Swagger UI from this host.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#description",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  onComplete: () => document.querySelector(".servers select")?.setAttribute("aria-label", "Server"), // it has no label
  validatorUrl: null, // it would ask another host about the description
});

// Stands in for the app's web container: it needs a moment until it listens, as Rails does.
import { createServer } from "node:http";

setTimeout(() => {
  createServer((_, response) => response.end("the app")).listen(3000);
}, 1500);
process.on("SIGTERM", () => process.exit(0));

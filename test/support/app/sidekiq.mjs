// Stands in for a Sidekiq container: told to end, it lets its jobs finish first. Killed, it would end with 137.
setInterval(() => undefined, 1000);
process.on("SIGTERM", () => setTimeout(() => process.exit(0), 3000));

import { DockerName, Duration, list, Name, says, section, text } from "./words.ts";

/** The schema's section for `bin/maintenance`: somebody else's containers, which heatwave only stops and starts again. */

const Word = text(
  /^[a-z0-9][a-z0-9_-]{0,62}$/,
  "lower-case letters, digits, '_' and '-'",
  "write it as config/deploy.yml does",
);

export const Maintenance = section({
  app: Word.describe("Kamal's `service`: its containers carry it as label `service`."),
  destination: Word.optional().describe(
    "Kamal's destination (label `destination`), where the app is deployed with one.",
  ),
  hosts: list(Name, "host names")
    .min(1, {
      error: says("at least one host", "name the app's hosts, or leave the key out: the routers' hosts"),
    })
    .optional()
    .describe("Hosts that run the app. Left out: those of `routers`."),
  roles: list(Word, "Kamal's roles")
    .min(1, { error: says("at least one role", "name the roles to stop, e.g. web and sidekiq") })
    .default(["web", "sidekiq"])
    .describe("Kamal's roles (label `role`) whose containers are stopped."),
  proxy: section({
    container: DockerName.default("kamal-proxy").describe("Container of kamal-proxy on each app host."),
    roles: list(Word, "Kamal's roles")
      .default(["web"])
      .describe("Roles that it serves: each one's service, `<app>-<role>[-<destination>]`, answers 503."),
    message: text(/^[^\0-\x1f\x7f]{1,200}$/, "1 to 200 characters on one line", "shorten the message")
      .default("Down for maintenance, back soon.")
      .describe("What the page with the 503 says."),
    drain: Duration.default("30s").describe("Time for requests that are under way."),
  })
    .prefault({})
    .describe("The app's proxy."),
  containers: list(
    section({
      host: Name.describe("Host that runs it, a key of `hosts`."),
      name: DockerName.describe("Container name."),
    }),
    "containers",
  )
    .default([])
    .describe("Containers that are stopped as well, whoever made them."),
  stopTimeout: Duration.default("60s").describe(
    "Time for a container to end by itself before it is killed; above what Sidekiq gives its jobs (25 s). A container's own longer one counts.",
  ),
  startTimeout: Duration.default("2m").describe(
    "Time for a container to run again, and to be healthy where it has a healthcheck.",
  ),
});

import { readFileSync } from "node:fs";
import type { Rehearsal } from "./rehearsal.ts";

/**
 * An app beside the database, as Kamal would have deployed it: stand-ins with Kamal's labels, from the world's own Node
 * image. On the app host a proxy, two versions of web and of sidekiq (the older ones stopped), and another app; on the
 * other host the databasus controller.
 */

export const APP_PORT = 8080;

/** What stands there before anything is stopped. */
export const RUNNING = ["heatwave-sidekiq-v2", "heatwave-web-v2", "kamal-proxy", "other-web-v1"];
export const STOPPED = ["heatwave-sidekiq-v1", "heatwave-web-v1"];

const FOLDER = "/srv/app";

export async function deployApp(
  world: Rehearsal,
  app: { readonly name: string; readonly address: string },
  extra: { readonly name: string },
): Promise<void> {
  for (const file of ["kamal-proxy", "web.mjs", "sidekiq.mjs"]) {
    const text = readFileSync(new URL(`./app/${file}`, import.meta.url), "utf8");
    await world.host(app.name, `mkdir -p ${FOLDER}/state && cat >${FOLDER}/${file}`, text);
  }
  await world.host(app.name, `chmod 0755 ${FOLDER}/kamal-proxy && chmod 0777 ${FOLDER}/state`);
  await world.host(
    app.name,
    [
      run(
        "kamal-proxy",
        `-p ${app.address}:${APP_PORT}:80 -e SERVICE=heatwave-web -e TARGET=web -v ${FOLDER}/state:/state -v ${FOLDER}/kamal-proxy:/usr/local/bin/kamal-proxy:ro --user 0`,
        "kamal-proxy run",
      ),
      webContainer("v1"),
      sidekiqContainer("v1"),
      "docker stop -t 10 heatwave-web-v1 heatwave-sidekiq-v1 >/dev/null",
      webContainer("v2"),
      sidekiqContainer("v2"),
      run("other-web-v1", labels("other", "web"), "sleep 86400"),
    ].join("\n"),
  );
  await world.host(extra.name, run("databasus", "--init", "sleep 86400"));
}

export const webContainer = (version: string): string =>
  run(
    `heatwave-web-${version}`,
    `${labels("heatwave", "web")} --network-alias web -v ${FOLDER}:${FOLDER}:ro --health-interval 1s --health-cmd "node -e \\"fetch('http://127.0.0.1:3000/').catch(() => process.exit(1))\\""`,
    `node ${FOLDER}/web.mjs`,
  );

export const sidekiqContainer = (version: string): string =>
  run(
    `heatwave-sidekiq-${version}`,
    `${labels("heatwave", "sidekiq")} -v ${FOLDER}:${FOLDER}:ro`,
    `node ${FOLDER}/sidekiq.mjs`,
  );

function labels(service: string, role: string): string {
  return `--label service=${service} --label role=${role} --label destination=`;
}

/** The image is pg-health's: no other has Node. */
function run(name: string, options: string, command: string): string {
  const image = "$(docker inspect -f '{{.Config.Image}}' $(docker ps -q --filter name=pg-health))";
  return `docker run -d --name ${name} --network kamal --restart unless-stopped ${options} ${image} ${command} >/dev/null || exit 1`;
}

/** Names of the host's containers in a state, heatwave's and the rehearsal's own left out. */
export async function containers(world: Rehearsal, host: string, state: string): Promise<readonly string[]> {
  const out = await world.host(host, `docker ps -a --filter status=${state} --format '{{.Names}}'`);
  return out
    .split("\n")
    .filter((name) => name !== "" && !/^heatwave-(postgres|pgbouncer|pg-health|haproxy|sampler)/.test(name))
    .toSorted();
}

import type { ContainerSeen } from "./seen.ts";

/**
 * Every container of a host, one JSON line each. Only what is needed leaves the host: an app's environment holds its
 * secrets.
 */
export const INSPECT_SCRIPT = `ids=$(timeout "$1" docker ps -aq --no-trunc) || exit 1
[ -n "$ids" ] || exit 0
timeout "$1" docker inspect --type container --format '${format()}' $ids`;

function format(): string {
  const label = (name: string): string =>
    `{{with index .Config.Labels "${name}"}}{{json .}}{{else}}""{{end}}`;
  const fields = {
    // `.Id` is the field of the raw answer, in which a missing healthcheck is an error.
    id: "{{json .ID}}",
    name: "{{json .Name}}",
    state: "{{json .State.Status}}",
    health: "{{if .State.Health}}{{json .State.Health.Status}}{{else}}null{{end}}",
    service: label("service"),
    role: label("role"),
    destination: label("destination"),
    stopSeconds: "{{json .Config.StopTimeout}}",
  };
  return `{${Object.entries(fields)
    .map(([name, value]) => `"${name}":${value}`)
    .join(",")}}`;
}

/** Pure. A container that went away between listing and asking costs its own line alone. */
export function readContainers(printed: string): readonly ContainerSeen[] {
  return printed
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => {
      const seen = JSON.parse(line) as ContainerSeen;
      // Docker writes names with a slash before them, and no healthcheck as "none".
      return {
        ...seen,
        name: seen.name.replace(/^\//, ""),
        health: seen.health === "none" || seen.health === "" ? null : seen.health,
      };
    });
}

/** True where all that failed is that a container is gone. */
export function onlyGone(stderr: string): boolean {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  return lines.length > 0 && lines.every((line) => /no such (container|object)/i.test(line));
}

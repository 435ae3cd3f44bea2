import { bytesText, durationText } from "../words.ts";
import type { Observation } from "../observe/observation.ts";
import { command } from "./finding.ts";
import type { Code, Finding } from "./finding.ts";

/** Sites that are not seen, and standbys that are not as they should be. */

/** Bytes of WAL, and seconds, from which a standby counts as lagging. */
export const LAG_BYTES = 16 * 1024 * 1024;
export const LAG_SECONDS = 10;

export function missing(seen: Observation): Finding[] {
  return seen.sites
    .filter((site) => site.role === "unknown")
    .map((site): Finding => {
      const host = seen.hosts.find((one) => one.name === site.host);
      return host?.unreachable != null
        ? {
            code: "site-silent",
            level: "warning",
            text: `${site.name} cannot be reached: ${host.unreachable}.`,
            next: `bring host ${site.host} back; the other sites go on`,
          }
        : {
            code: "site-silent",
            level: "warning",
            text: `${site.name} says nothing of itself: ${site.silent ?? "no reason given"}.`,
            next: `docker ps -a and docker logs of its pg-health container on ${site.host}`,
          };
    });
}

export function standbys(seen: Observation): Finding[] {
  const [primary] = seen.sites.filter((site) => site.role === "primary");
  if (primary === undefined) return [];
  const excluded = new Set(seen.sites.flatMap((site) => site.grant?.excluded ?? []));
  return seen.sites
    .filter((site) => site !== primary && site.role !== "unknown")
    .flatMap((site): Finding[] => {
      const finding = (code: Code, text: string, next: string): Finding[] => [
        { code, level: "warning", text, next },
      ];
      if (excluded.has(site.name))
        return finding(
          "excluded-returned",
          `${site.name} is back and was excluded: it may hold writes that were given up, and stays read-only.`,
          command(seen, `rejoin ${site.name}`),
        );
      if (site.role === "empty")
        return finding("empty", `${site.name} has no data.`, command(seen, `rebuild-standby ${site.name}`));
      if (site.role === "stopped")
        return finding(
          "standby-down",
          `${site.name} is stopped by order.`,
          command(seen, `start ${site.name}`),
        );
      if (site.role === "primary") return [];
      if (site.running !== true)
        return finding(
          "standby-down",
          `${site.name}'s PostgreSQL does not run: ${site.word ?? "no word"}${site.why === null ? "" : `, ${site.why}`}.`,
          site.word === "diverged"
            ? command(seen, `rejoin ${site.name}`)
            : site.word === "held" || site.word === "crashed"
              ? `docker logs of its PostgreSQL container on ${site.host}`
              : command(seen, "topology --watch"),
        );
      if (site.replayPaused)
        return finding(
          "replay-paused",
          `${site.name} has paused its replay.`,
          `select pg_wal_replay_resume() at ${site.name}`,
        );
      if (site.receiver !== "streaming")
        return finding(
          "standby-silent",
          `${site.name} does not stream from ${primary.name}${site.follows === null || site.follows === primary.name ? "" : ` (it follows ${site.follows})`}.`,
          (site.timeline ?? 0) < (primary.timeline ?? 0)
            ? command(seen, `rejoin ${site.name}`)
            : `docker logs of its PostgreSQL container on ${site.host}`,
        );
      const { bytes, seconds } = site.lag;
      if ((bytes ?? 0) >= LAG_BYTES || (seconds ?? 0) >= LAG_SECONDS)
        return finding(
          "standby-lagging",
          `${site.name} lags by ${bytes === null ? "?" : bytesText(bytes)}, ${seconds === null ? "?" : durationText(seconds)}.`,
          command(seen, "topology --watch"),
        );
      return [];
    });
}

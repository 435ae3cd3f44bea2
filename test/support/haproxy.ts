import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The HAProxy 3.0 that tests check rendered text with: `HEATWAVE_HAPROXY_BIN`, else `haproxy` on PATH if it is a 3.0.
 * None: those tests are skipped and say so; the sealed world runs the same checks in the router's own image.
 */
export const haproxy: string | undefined = find();

/** For a suite's name, so that a skipped one says what is missing. */
export const haproxyNote =
  haproxy === undefined
    ? "skipped: no HAProxy 3.0 here, set HEATWAVE_HAPROXY_BIN to one"
    : versionOf(haproxy)!;

function find(): string | undefined {
  const named = process.env["HEATWAVE_HAPROXY_BIN"];
  if (named !== undefined) {
    const version = versionOf(named);
    if (version?.startsWith("3.0") !== true)
      throw new Error(
        `HEATWAVE_HAPROXY_BIN: ${named} is ${version ?? "not an HAProxy"}; allowed: an HAProxy 3.0 binary`,
      );
    return named;
  }
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((directory) => join(directory, "haproxy"))
    .find((path) => existsSync(path) && versionOf(path)?.startsWith("3.0") === true);
}

function versionOf(binary: string): string | undefined {
  try {
    return /version ([0-9]+\.[0-9]+\.[0-9]+)/.exec(execFileSync(binary, ["-v"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

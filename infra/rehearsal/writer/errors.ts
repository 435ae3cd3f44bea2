import type { ErrorKind } from "./records.ts";

const ENDED = /terminated unexpectedly|Connection terminated$|ECONNRESET|EPIPE|socket hang up/;
const LATE = /timeout|ETIMEDOUT/i;

/**
 * What a failed attempt was, from what the driver says of it.
 * @param open whether the server had let the client in
 */
export function kindOf(
  error: unknown,
  open: boolean,
): { readonly kind: ErrorKind; readonly code: string; readonly message: string } {
  const { code = "", message = String(error) } = error as {
    readonly code?: string;
    readonly message?: string;
  };
  return { kind: decide(code, message, open), code, message };
}

function decide(code: string, message: string, open: boolean): ErrorKind {
  if (code === "25006") return "read-only";
  if (code === "ECONNREFUSED") return "refused";
  if (/^(ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code)) return "unreachable";
  // A server's own word, which may speak of time-outs itself.
  if (/^[0-9A-Z]{5}$/.test(code)) return "other";
  if (LATE.test(`${code} ${message}`)) return "timeout";
  if (ENDED.test(`${code} ${message}`)) return open ? "reset" : "reset before authentication";
  return "other";
}

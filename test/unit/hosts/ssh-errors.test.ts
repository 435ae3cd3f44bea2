import { describe, expect, test, vi } from "vitest";

import { dialError, isWorthRetrying, sessionNeverBegan } from "../../../infra/hosts/ssh-errors.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKO/0O1da+0teIUHa3ZacqgVjT+TCQUJZ5C8VosLN4MY";
const TARGET = { address: "192.0.2.7", port: 22, user: "deploy", hostKey: KEY };

describe("what ssh prints while it dials", () => {
  test.each([
    ["ssh: connect to host 192.0.2.7 port 22: Connection refused", "unreachable"],
    ["ssh: connect to host 192.0.2.7 port 22: Connection timed out", "unreachable"],
    ["ssh: Could not resolve hostname nope: Name or service not known", "unreachable"],
    ["kex_exchange_identification: Connection closed by remote host", "unreachable"],
    ["deploy@192.0.2.7: Permission denied (publickey).", "key-refused"],
    ["Host key verification failed.", "host-key-changed"],
    [
      "Unable to negotiate with 192.0.2.7 port 22: no matching host key type found. Their offer: ssh-rsa",
      "host-key-changed",
    ],
    ["percent_expand: unknown key %z", "failed"],
  ])("%s → %s", (printed, kind) => {
    expect(dialError(TARGET, printed).kind).toBe(kind);
  });

  test("names both fingerprints of a changed host key", () => {
    const printed = `@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @
The fingerprint for the ED25519 key sent by the remote host is
SHA256:aHwDNagnwjR+JHp1T2ewzVUOtvIjaSJDq93Y5CkAhi0.
Host key verification failed.`;
    const { message } = dialError(TARGET, printed);
    expect(message).toContain("shows SHA256:aHwDNagnwjR+JHp1T2ewzVUOtvIjaSJDq93Y5CkAhi0 instead of SHA256:");
  });

  test("says to start an agent where there is none", () => {
    vi.stubEnv("SSH_AUTH_SOCK", undefined);
    expect(dialError(TARGET, "Permission denied (publickey).").message).toContain("no SSH agent is running");
  });

  test("is tried again only where time can help", () => {
    expect(isWorthRetrying(dialError(TARGET, "Connection refused"))).toBe(true);
    expect(isWorthRetrying(dialError(TARGET, "Permission denied (publickey)."))).toBe(false);
    expect(isWorthRetrying(dialError(TARGET, "Host key verification failed."))).toBe(false);
  });
});

test.each([
  ["mux_client_request_session: session request failed: Session open refused by peer", "refused"],
  ["Control socket connect(/tmp/x/c): Connection refused", "master-gone"],
  ["mux_client_hello_exchange: write packet: Broken pipe", "master-gone"],
  ["Connection closed by UNKNOWN port 65535", "master-gone"],
  // The request was on its way: the command may have run, so it must not be run again.
  [
    "mux_client_request_session: read from master failed: Broken pipe\nConnection closed by UNKNOWN port 65535",
    undefined,
  ],
  ["psql: error: connection refused", undefined],
])("%s: %s", (printed, why) => {
  expect(sessionNeverBegan(printed)).toBe(why);
});

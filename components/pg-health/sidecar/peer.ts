/** How sites know each other: `GET /peer?nonce=`, answered with a MAC under the stack's secret. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { request } from "node:http";
import type { SiteConfig } from "./config.ts";
import { checkGrant } from "./grant.ts";
import type { Grant } from "./grant.ts";

/** What a site is, from its disk and its entrypoint: known while PostgreSQL is down. */
export type PeerRole =
  /** No data, and nothing that could be taken for some. */
  | "empty"
  /** PostgreSQL runs on data that is no standby's. */
  | "primary"
  /** The data is a standby's, running or not. */
  | "standby"
  /** Data that is no standby's, at rest. */
  | "held"
  /** A data directory or a grant that cannot be read. */
  | "unusable";

export interface PeerFacts {
  readonly site: string;
  /** Of the data; null without usable data. */
  readonly systemId: string | null;
  readonly role: PeerRole;
  /** Of the data; null without usable data. */
  readonly timeline: number | null;
  readonly grant: Grant | null;
  readonly nonce: string;
}

/** A peer counts only when it answers with a valid MAC; everything else is silence. */
export type PeerAnswer =
  | { readonly site: string; readonly answers: true; readonly facts: PeerFacts }
  | { readonly site: string; readonly answers: false; readonly why: string };

const ROLES: readonly unknown[] = ["empty", "primary", "standby", "held", "unusable"];
const LARGEST_ANSWER = 64 * 1024;

/** JSON with sorted keys and no blanks: the same text on both sides. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`);
  return `{${entries.join(",")}}`;
}

/** HMAC-SHA256 of the facts under the stack's secret, in hex. */
export function peerMac(facts: PeerFacts, secret: string): string {
  return createHmac("sha256", secret).update(canonicalJson(facts)).digest("hex");
}

/** Whether a text can be a nonce: 16 to 64 hexadecimal digits. */
export function isNonce(text: string): boolean {
  return /^[0-9a-f]{16,64}$/.test(text);
}

function isFacts(value: unknown): value is PeerFacts {
  const facts = value as Partial<PeerFacts> | null;
  return (
    typeof facts === "object" &&
    typeof facts?.site === "string" &&
    typeof facts.nonce === "string" &&
    (facts.systemId === null || typeof facts.systemId === "string") &&
    (facts.timeline === null || typeof facts.timeline === "number") &&
    ROLES.includes(facts.role) &&
    (facts.grant === null || checkGrant(facts.grant).kind === "grant")
  );
}

/** Judges a peer's answer. */
export function readPeerAnswer(site: string, nonce: string, secret: string, text: string): PeerAnswer {
  const silent = (why: string): PeerAnswer => ({ site, answers: false, why });
  let answer: { readonly peer?: unknown; readonly mac?: unknown } | null;
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return silent("its answer is not JSON");
  }
  const facts = answer?.peer;
  if (!isFacts(facts) || typeof answer?.mac !== "string") return silent("its answer is not a peer's");
  const expected = Buffer.from(peerMac(facts, secret), "hex");
  const given = Buffer.from(answer.mac, "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return silent("its MAC is wrong");
  if (facts.nonce !== nonce) return silent("its nonce is an old one");
  if (facts.site !== site) return silent(`it says that it is ${facts.site}`);
  return { site, answers: true, facts };
}

/** Asks a peer. Never rejects. @param limitMs Milliseconds for the whole exchange. */
export function askPeer(
  peer: Pick<SiteConfig, "name" | "health">,
  secret: string,
  limitMs: number,
): Promise<PeerAnswer> {
  const nonce = randomBytes(16).toString("hex");
  const { host, port } = peer.health;
  return new Promise((resolve) => {
    const silent = (why: string): void => resolve({ site: peer.name, answers: false, why });
    const asked = request(
      { host, port, path: `/peer?nonce=${nonce}`, agent: false, signal: AbortSignal.timeout(limitMs) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > LARGEST_ANSWER) asked.destroy(new Error("its answer is too long"));
        });
        response.on("end", () => {
          if (response.statusCode === 200) resolve(readPeerAnswer(peer.name, nonce, secret, text));
          else silent(`it answers ${response.statusCode ?? 0}`);
        });
        response.on("error", (error) => silent(error.message));
      },
    );
    asked.on("error", (error) => {
      silent(error.name === "TimeoutError" ? `no answer within ${limitMs} ms` : error.message);
    });
    asked.end();
  });
}

import { describe, expect, it } from "vitest";
import {
  canonicalJson,
  isNonce,
  peerMac,
  readPeerAnswer,
} from "../../../components/pg-health/sidecar/peer.ts";
import type { PeerFacts } from "../../../components/pg-health/sidecar/peer.ts";
import { peerFacts } from "../../../components/pg-health/sidecar/site.ts";
import { cluster, entrypoint, grant, NO_GRANT, SILENT, SYSTEM } from "./facts.ts";

const SECRET = "a secret of this stack";
const NONCE = "0123456789abcdef";
const FACTS: PeerFacts = peerFacts(
  "chi-02",
  { entrypoint: entrypoint("running"), data: cluster(), grant: grant() },
  NONCE,
);

function sent(facts: PeerFacts, secret = SECRET): string {
  return JSON.stringify({ peer: facts, mac: peerMac(facts, secret) });
}

describe("canonicalJson", () => {
  it("does not depend on the order of keys", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: true })).toBe(
      '{"a":true,"b":[1,{"c":"x","d":null}]}',
    );
    expect(canonicalJson({ a: 1, b: 2 })).toBe(canonicalJson({ b: 2, a: 1 }));
  });
});

describe("readPeerAnswer", () => {
  it("takes an answer with a right MAC, whatever the order of its keys", () => {
    expect(readPeerAnswer("chi-02", NONCE, SECRET, sent(FACTS))).toEqual({
      site: "chi-02",
      answers: true,
      facts: FACTS,
    });
    const reversed = Object.fromEntries(Object.entries(FACTS).reverse());
    const text = JSON.stringify({ mac: peerMac(FACTS, SECRET), peer: reversed });
    expect(readPeerAnswer("chi-02", NONCE, SECRET, text).answers).toBe(true);
  });

  const text = sent(FACTS);
  it.each([
    ["another secret", sent(FACTS, "another"), "its MAC is wrong"],
    ["a changed role", text.replace('"primary"', '"standby"'), "its MAC is wrong"],
    ["a changed grant", text.replace('"epoch":1', '"epoch":2'), "its MAC is wrong"],
    ["a short MAC", text.replace(/"mac":"../, '"mac":"'), "its MAC is wrong"],
    ["a replayed answer", sent({ ...FACTS, nonce: "fedcba9876543210" }), "its nonce is an old one"],
    ["another site", sent({ ...FACTS, site: "dal-01" }), "it says that it is dal-01"],
    ["no JSON", "<html>", "its answer is not JSON"],
    ["null", "null", "its answer is not a peer's"],
    ["no MAC", JSON.stringify({ peer: FACTS }), "its answer is not a peer's"],
    ["an unknown role", text.replace('"primary"', '"king"'), "its answer is not a peer's"],
    ["a grant that is none", text.replace('"held"', '"mine"'), "its answer is not a peer's"],
  ])("takes %s as silence", (_name, answer, why) => {
    expect(readPeerAnswer("chi-02", NONCE, SECRET, answer)).toEqual({ site: "chi-02", answers: false, why });
  });
});

describe("peerFacts", () => {
  it.each([
    ["primary", { entrypoint: entrypoint("running"), data: cluster(), grant: grant() }],
    ["primary", { entrypoint: entrypoint("starting"), data: cluster(), grant: NO_GRANT }],
    ["held", { entrypoint: entrypoint("stopped"), data: cluster(), grant: grant() }],
    ["held", { entrypoint: SILENT, data: cluster(), grant: grant() }],
    ["standby", { entrypoint: SILENT, data: cluster({ standbySignal: true }), grant: NO_GRANT }],
    ["empty", { entrypoint: entrypoint("waiting"), data: { kind: "empty" }, grant: NO_GRANT }],
    ["unusable", { entrypoint: SILENT, data: { kind: "unusable", why: "" }, grant: NO_GRANT }],
    ["unusable", { entrypoint: SILENT, data: { kind: "empty" }, grant: { kind: "unusable", why: "" } }],
  ] as const)("says %s", (role, facts) => {
    expect(peerFacts("chi-02", facts, NONCE)).toMatchObject({
      role,
      systemId: facts.data.kind === "cluster" ? SYSTEM : null,
      timeline: facts.data.kind === "cluster" ? 1 : null,
    });
  });
});

describe("isNonce", () => {
  it("takes hexadecimal digits of a fair length", () => {
    expect(["0123456789abcdef", "a".repeat(64)].every(isNonce)).toBe(true);
    expect(["", "abc", "a".repeat(65), "0123456789ABCDEF", "0123456789abcde\n"].some(isNonce)).toBe(false);
  });
});

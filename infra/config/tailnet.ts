import ipaddr from "ipaddr.js";
import { list, mapping, Name, says, section, text, whole, yesOrNo } from "./words.ts";

/** The schema's sections for the tailnet: addresses, devices, what is managed there, and who is let in. */

const RANGE = ipaddr.parseCIDR("100.64.0.0/10");

/** Tailscale's own resolver: in the range, but no host's. */
const MAGIC_DNS = "100.100.100.100";

const ADDRESS = {
  allowed: "a tailnet IPv4 address in 100.64.0.0/10",
  fix: "use what `tailscale ip -4` prints on that host",
};

export const TailnetAddress = text(/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/, ADDRESS.allowed, ADDRESS.fix).refine(
  (value) =>
    ipaddr.IPv4.isValidFourPartDecimal(value) && ipaddr.IPv4.parse(value).match(RANGE) && value !== MAGIC_DNS,
  { error: says(ADDRESS.allowed, ADDRESS.fix) },
);

/** A host name, or the full name with the tailnet's domain. */
export const Device = text(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
  "a device's name: dal-01, or whole: dal-01.tail1234.ts.net",
  "copy it from `tailscale status` or from the admin console's list of machines",
);

const Tag = text(
  /^tag:[a-zA-Z][a-zA-Z0-9-]{0,49}$/,
  "tag: and a name of letters, digits and hyphens",
  "write it as `tagOwners` of the tailnet's policy file does, e.g. tag:database",
);

export const Tailnet = section({
  name: text(
    /^[A-Za-z0-9][A-Za-z0-9.@_-]{0,99}$/,
    "the tailnet's id or name",
    "copy it from the admin console (Settings, General), or leave the key out",
  )
    .optional()
    .describe("Tailnet. Left out: the one that the OAuth client belongs to."),
  expiryWarning: whole(1, 90, "days", "choose how early to be told")
    .default(14)
    .describe("A host's key that expires sooner is named in every preview."),
  tags: list(Tag, "tags")
    .min(1, { error: says("at least one tag", "name the tags, or leave the key out") })
    .optional()
    .describe("Exactly these tags for each host that has `device`. Left out: tags are not touched."),
  keyExpiry: yesOrNo("write false, so that the hosts' keys never expire")
    .optional()
    .describe("Whether the keys of hosts that have `device` expire. Left out: not touched."),
  joinKeys: list(Name, "names of hosts to come")
    .default([])
    .describe("Hosts to come: for each a pre-authorised key, for one use within a day (output `joinKeys`)."),
  grants: yesOrNo("write true to have them merged into the policy file")
    .default(false)
    .describe("Merge grants for exactly the stack's ports into the tailnet's policy file."),
});

export const Firewall = section({
  enabled: yesOrNo("write true to let in the stack's hosts and `operators` alone")
    .optional()
    .describe(
      "true: the stack's ports answer its own hosts and `operators` alone, by the tailnet alone. Left out: as false, and each preview says so.",
    ),
  interface: text(
    /^[a-z][a-z0-9_.-]{0,14}$/,
    "the name of a network interface",
    "use the name that `ip link` shows for the tailnet",
  )
    .default("tailscale0")
    .describe("Interface of the tailnet on the hosts."),
});

export const Operators = mapping(Name, TailnetAddress, "tailnet addresses by name");

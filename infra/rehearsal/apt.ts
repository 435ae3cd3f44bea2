import { execa } from "execa";

/** Where this machine gets Debian packages from. */
export interface AptSource {
  /** Base address of the Debian archive. */
  readonly mirror: string;
  /** `http_proxy` and `https_proxy`, where apt uses one. */
  readonly proxy: Readonly<Record<string, string>>;
}

const DEBIAN = "http://deb.debian.org/debian";

let known: Promise<AptSource> | undefined;

/** The machine's own apt configuration, so that a build goes where an install goes; Debian's default elsewhere. */
export function aptSource(): Promise<AptSource> {
  known ??= readAptSource();
  return known;
}

async function readAptSource(): Promise<AptSource> {
  const targets = await execa("apt-get", ["indextargets", "--format", "$(LABEL)|$(CREATED_BY)|$(REPO_URI)"], {
    reject: false,
    stdin: "ignore",
  });
  const config = await execa("apt-config", ["dump"], { reject: false, stdin: "ignore" });
  return {
    mirror: mirrorOf(targets.exitCode === 0 ? targets.stdout : ""),
    proxy: proxyOf(config.exitCode === 0 ? config.stdout : ""),
  };
}

/** The archive among `apt-get indextargets` lines of `label|creator|uri`. */
export function mirrorOf(targets: string): string {
  for (const line of targets.split("\n")) {
    const [label, creator, uri] = line.split("|");
    if (label === "Debian" && creator === "Packages" && uri?.startsWith("http") === true) {
      return uri.replace(/\/+$/, "");
    }
  }
  return DEBIAN;
}

/** Proxy variables from `apt-config dump`. */
export function proxyOf(dump: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const match of dump.matchAll(/^Acquire::(https?)::Proxy "([^"]+)";$/gim)) {
    const [, scheme, address] = match;
    if (scheme !== undefined && address !== undefined && address !== "DIRECT") {
      found[`${scheme.toLowerCase()}_proxy`] = address;
    }
  }
  return found;
}

import type Dockerode from "dockerode";

import type { Value, ValueMap } from "../../values.ts";
import { readFlag, readMap, readMaps, readNumber, readText, readTextMap } from "../read-value.ts";

/** The provider's `mounts`, as the daemon wants them. */
export function mountsRequest(inputs: ValueMap): Dockerode.MountSettings[] {
  return readMaps(inputs, "mounts").map((mount) => {
    const type = readText(mount, "type") as Dockerode.MountType;
    return {
      Type: type,
      Target: readText(mount, "target") ?? "",
      Source: readText(mount, "source") ?? "",
      ReadOnly: readFlag(mount, "readOnly") ?? false,
      // Only the options of the mount's own type are sent, as the real provider does.
      ...(type === "bind" && bindOptions(readMap(mount, "bindOptions"))),
      ...(type === "volume" && volumeOptions(readMap(mount, "volumeOptions"))),
      ...(type === "tmpfs" && tmpfsOptions(readMap(mount, "tmpfsOptions"))),
    };
  });
}

function bindOptions(options: ValueMap | undefined): Partial<Dockerode.MountSettings> {
  const propagation = options && readText(options, "propagation");
  if (propagation === undefined) return {};
  return { BindOptions: { Propagation: propagation as Dockerode.MountPropagation } };
}

function volumeOptions(options: ValueMap | undefined): Partial<Dockerode.MountSettings> {
  if (options === undefined) return {};
  const subpath = readText(options, "subpath");
  const volume = {
    NoCopy: readFlag(options, "noCopy") ?? false,
    Labels: labelMap(readMaps(options, "labels")),
    DriverConfig: {
      Name: readText(options, "driverName") ?? "",
      Options: readTextMap(options, "driverOptions") ?? {},
    },
    // Newer than the published types.
    ...(subpath === undefined ? {} : { Subpath: subpath }),
  };
  return { VolumeOptions: volume };
}

function tmpfsOptions(options: ValueMap | undefined): Partial<Dockerode.MountSettings> {
  if (options === undefined) return {};
  return {
    TmpfsOptions: {
      SizeBytes: readNumber(options, "sizeBytes") ?? 0,
      Mode: readNumber(options, "mode") ?? 0,
    },
  };
}

export function labelMap(labels: readonly ValueMap[]): Record<string, string> {
  return Object.fromEntries(
    labels.map((label) => [readText(label, "label") ?? "", readText(label, "value") ?? ""]),
  );
}

export function labelList(labels: Readonly<Record<string, string>> | null | undefined): Value {
  return Object.entries(labels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => ({ label, value }));
}

export interface VolumesRequest {
  readonly anonymous: Record<string, object>;
  readonly binds: string[];
  readonly from: string[];
}

/**
 * The provider's `volumes`, as the daemon wants them.
 * @throws Error when an entry names both a path and a container, or neither
 */
export function volumesRequest(inputs: ValueMap): VolumesRequest {
  const request: VolumesRequest = { anonymous: {}, binds: [], from: [] };
  for (const volume of readMaps(inputs, "volumes")) {
    const from = readText(volume, "fromContainer") ?? "";
    const path = readText(volume, "containerPath") ?? "";
    const source = nonEmpty(readText(volume, "hostPath")) ?? nonEmpty(readText(volume, "volumeName"));
    if (from === "" && path === "") {
      throw new Error("volumes: an entry names neither containerPath nor fromContainer; write one of them");
    }
    if (from !== "" && path !== "") {
      throw new Error(
        `volumes: the entry for ${path} also names fromContainer ${from}; write only one of them`,
      );
    }
    if (from !== "") {
      request.from.push(from);
      continue;
    }
    request.anonymous[path] = {};
    if (source !== undefined) {
      const label = nonEmpty(readText(volume, "selinuxRelabel"));
      const mode = readFlag(volume, "readOnly") === true ? "ro" : "rw";
      request.binds.push(`${source}:${path}:${mode}${label === undefined ? "" : `,${label}`}`);
    }
  }
  return request;
}

export function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

interface InspectedMount {
  readonly Type: string;
  readonly Target: string;
  readonly Source?: string;
  readonly ReadOnly?: boolean;
  readonly BindOptions?: { readonly Propagation?: string };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Record<string, string> | null;
    readonly DriverConfig?: { readonly Name?: string; readonly Options?: Record<string, string> | null };
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number };
}

/** What the daemon reports of `mounts`, as the provider records it. */
export function mountsOutput(mounts: readonly InspectedMount[] | null | undefined): Value {
  return (mounts ?? []).map((mount): ValueMap => {
    const volume = mount.VolumeOptions;
    return {
      target: mount.Target,
      source: mount.Source ?? "",
      type: mount.Type,
      readOnly: mount.ReadOnly ?? false,
      bindOptions: mount.BindOptions ? { propagation: mount.BindOptions.Propagation ?? "" } : null,
      volumeOptions: volume
        ? {
            noCopy: volume.NoCopy ?? false,
            labels: labelList(volume.Labels),
            driverName: volume.DriverConfig?.Name ?? "",
            driverOptions: volume.DriverConfig?.Options ?? {},
            subpath: volume.Subpath ?? "",
          }
        : null,
      tmpfsOptions: mount.TmpfsOptions
        ? { sizeBytes: mount.TmpfsOptions.SizeBytes ?? 0, mode: mount.TmpfsOptions.Mode ?? 0 }
        : null,
    };
  });
}

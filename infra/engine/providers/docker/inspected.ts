/** The parts of the daemon's answer to an inspect that the provider records. Absent and null mean the same. */
type Maybe<Type> = Type | null | undefined;

export type InspectedPorts = Readonly<
  Record<string, Maybe<readonly { readonly HostIp: string; readonly HostPort: string }[]>>
>;

interface Rate {
  readonly Path: string;
  readonly Rate: number;
}

export interface Inspected {
  readonly Id: string;
  readonly Name: string;
  /** RFC 3339 */
  readonly Created: string;
  readonly Image: string;
  readonly Platform?: string;
  readonly State: {
    readonly Running: boolean;
    readonly ExitCode: number;
    readonly Health?: Maybe<{ readonly Status: string }>;
  };
  readonly NetworkSettings: {
    readonly Bridge?: string;
    readonly Ports?: Maybe<InspectedPorts>;
    readonly Networks?: Maybe<
      Readonly<
        Record<
          string,
          {
            readonly IPAddress?: string;
            readonly IPPrefixLen?: number;
            readonly Gateway?: string;
            readonly GlobalIPv6Address?: string;
            readonly GlobalIPv6PrefixLen?: number;
            readonly IPv6Gateway?: string;
            readonly MacAddress?: string;
          }
        >
      >
    >;
  };
  readonly Config: {
    readonly Image: string;
    readonly Hostname?: string;
    readonly Domainname?: string;
    readonly Cmd?: Maybe<readonly string[]>;
    readonly Entrypoint?: Maybe<readonly string[]>;
    readonly User?: string;
    readonly WorkingDir?: string;
    readonly Tty?: boolean;
    readonly OpenStdin?: boolean;
    readonly StopSignal?: string;
    readonly StopTimeout?: Maybe<number>;
    readonly Healthcheck?: Maybe<{
      readonly Test?: Maybe<readonly string[]>;
      readonly Interval?: number;
      readonly Timeout?: number;
      readonly StartPeriod?: number;
      readonly StartInterval?: number;
      readonly Retries?: number;
    }>;
  };
  readonly HostConfig: {
    readonly AutoRemove?: boolean;
    readonly ReadonlyRootfs?: boolean;
    readonly Dns?: Maybe<readonly string[]>;
    readonly DnsOptions?: Maybe<readonly string[]>;
    readonly DnsSearch?: Maybe<readonly string[]>;
    readonly SecurityOpt?: Maybe<readonly string[]>;
    readonly PublishAllPorts?: boolean;
    readonly RestartPolicy?: { readonly Name: string; readonly MaximumRetryCount: number };
    readonly Init?: Maybe<boolean>;
    readonly CapAdd?: Maybe<readonly string[]>;
    readonly CapDrop?: Maybe<readonly string[]>;
    readonly Runtime?: string;
    readonly Mounts?: Maybe<readonly { readonly Type: string; readonly Target: string }[]>;
    readonly Tmpfs?: Maybe<Readonly<Record<string, string>>>;
    readonly ExtraHosts?: Maybe<readonly string[]>;
    readonly Ulimits?: Maybe<
      readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[]
    >;
    readonly Privileged?: boolean;
    readonly Devices?: Maybe<
      readonly {
        readonly PathOnHost: string;
        readonly PathInContainer: string;
        readonly CgroupPermissions: string;
      }[]
    >;
    readonly DeviceCgroupRules?: Maybe<readonly string[]>;
    readonly BlkioDeviceReadBps?: Maybe<readonly Rate[]>;
    readonly BlkioDeviceReadIOps?: Maybe<readonly Rate[]>;
    readonly BlkioDeviceWriteBps?: Maybe<readonly Rate[]>;
    readonly BlkioDeviceWriteIOps?: Maybe<readonly Rate[]>;
    readonly Memory?: number;
    readonly MemoryReservation?: number;
    readonly MemorySwap?: number;
    readonly ShmSize?: number;
    readonly NanoCpus?: number;
    readonly CpuShares?: number;
    readonly CpusetCpus?: string;
    readonly LogConfig?: { readonly Type: string; readonly Config?: Maybe<Readonly<Record<string, string>>> };
    readonly StorageOpt?: Maybe<Readonly<Record<string, string>>>;
    readonly NetworkMode?: string;
    readonly PidMode?: string;
    readonly UsernsMode?: string;
    readonly Sysctls?: Maybe<Readonly<Record<string, string>>>;
    readonly IpcMode?: string;
    readonly GroupAdd?: Maybe<readonly string[]>;
  };
}

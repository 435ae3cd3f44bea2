/** Actions that give a site's data a new beginning, for `rejoin` and `rebuild-standby`. `id` is the run's. */
export type RenewAction =
  /**
   * Of pg-health: `aside` renames the data to kept-ID, `restore` puts it back, `forget` deletes it; `adopt` puts
   * prepared data in place, `discard` deletes it; `cancel` ends what the entrypoint is doing; `allow` lets the start
   * rules start what was stopped, without waiting.
   */
  | {
      readonly do: "data";
      readonly site: string;
      readonly verb: "aside" | "restore" | "forget" | "discard" | "cancel" | "allow";
      readonly id: string;
    }
  | { readonly do: "adopt"; readonly site: string; readonly systemId: string }
  /** Into the scratch directory, while the site may go on as it is. */
  | {
      readonly do: "base-backup";
      readonly site: string;
      readonly from: string;
      readonly slot: string;
      readonly systemId: string;
    }
  /** What was put aside is rewound into the scratch directory; where that cannot be done, or copies more: a base backup. */
  | {
      readonly do: "rewind";
      readonly site: string;
      readonly from: string;
      readonly slot: string;
      readonly systemId: string;
      readonly id: string;
      /** That a base backup would copy. */
      readonly backupBytes: number;
    }
  /** The site's grant says that it follows: state none, the primary's epoch and timeline, nobody it would not follow. */
  | { readonly do: "join-grant"; readonly site: string; readonly primary: string }
  /** One grant excludes the site no longer. */
  | { readonly do: "unexclude"; readonly at: string; readonly site: string }
  /** The standby replays and streams; refused as soon as it cannot, or gets no further. */
  | { readonly do: "await-following"; readonly standby: string; readonly primary: string }
  /** The slot of a standby at its primary; one that was lost is made again. */
  | { readonly do: "make-slot"; readonly site: string; readonly slot: string }
  | { readonly do: "drop-slot"; readonly site: string; readonly slot: string }
  /** A standby has an idle, unreserved slot for every other site. */
  | { readonly do: "standby-slots"; readonly site: string; readonly slots: readonly string[] }
  /** The site's pooler takes new server connections. */
  | { readonly do: "reconnect"; readonly site: string }
  /** Of the ZFS dataset that the site's data lies on, as heatwave-ID. */
  | { readonly do: "snapshot" | "drop-snapshot"; readonly site: string; readonly id: string };

/** Actions while the writes leave a site whose PostgreSQL runs as it was found: host-tool's `found`. */
export type FoundAction =
  /** Everything slow before its stop: checkpoints, a reader of its control file; a daemon that restarts leaves it stopped. */
  | { readonly do: "found-ready"; readonly site: string }
  /** As if it had never been readied. */
  | { readonly do: "found-leave"; readonly site: string }
  /** Stops it; done once its last record is known. */
  | { readonly do: "found-stop"; readonly site: string }
  /** Opens what `found-users` needs, at the site that takes over. */
  | { readonly do: "found-users-ready"; readonly site: string }
  /** Roles of the site have the verifiers that its pooler passes on. */
  | { readonly do: "found-users"; readonly site: string }
  /** What was stopped runs as before. */
  | { readonly do: "found-back"; readonly site: string }
  /** What was stopped stays so; its data gets a grant of that epoch, state none. */
  | { readonly do: "found-keep"; readonly site: string; readonly epoch: number };

import type { CheckpointWriter } from "./checkpoint.ts";
import { prerequisites, renameReferences } from "./resource.ts";
import type { PendingOperation, Resource } from "./resource.ts";

/**
 * The state while it changes: resources done in this run, in the order they were finished, then the old ones that
 * have not been visited yet. Every change is on disk before the promise that reports it resolves; changes that
 * come while a write is under way share the next one.
 */
export class Journal {
  readonly #writer: CheckpointWriter;
  readonly #save: ((text: string) => Promise<void>) | undefined;
  readonly #done = new Map<string, Resource>();
  readonly #old: Map<string, Resource>;
  readonly #pending: Set<PendingOperation>;
  readonly #begun = new WeakSet<PendingOperation>();
  readonly #renames = new Map<string, string>();
  readonly #superseded = new Set<Resource>();
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** Without `save` (previews) nothing is written. */
  constructor(
    old: readonly Resource[],
    pending: readonly PendingOperation[],
    writer: CheckpointWriter,
    save: ((text: string) => Promise<void>) | undefined,
  ) {
    this.#old = new Map(old.map((resource, index) => [keyOf(resource, index), resource]));
    this.#pending = new Set(pending);
    this.#writer = writer;
    this.#save = save;
  }

  /** The resources in the order of the state file: what this run has recorded, then the rest. */
  resources(): readonly Resource[] {
    const rename = (urn: string): string => this.#renames.get(urn) ?? urn;
    const rest = [...this.#old.values()];
    return needsFirst([
      ...this.#done.values(),
      ...(this.#renames.size === 0 ? rest : rest.map((resource) => renameReferences(resource, rename))),
    ]);
  }

  text(): string {
    return this.#writer.write(this.resources(), [...this.#pending], new Date());
  }

  /** Notes that an operation is about to start; give the result to the call that ends it. */
  async begin(resource: Resource, type: PendingOperation["type"]): Promise<PendingOperation> {
    const operation = { resource, type };
    // What an earlier run left noted for the same resource is overtaken by this.
    for (const earlier of this.#pending) {
      if (!this.#begun.has(earlier) && earlier.resource.urn === resource.urn) this.#pending.delete(earlier);
    }
    this.#begun.add(operation);
    this.#pending.add(operation);
    await this.flush();
    return operation;
  }

  /** Ends an operation that changed nothing. */
  async cancel(operation: PendingOperation): Promise<void> {
    this.#pending.delete(operation);
    await this.flush();
  }

  /**
   * Records what a registration ended with and takes its old state out.
   * @param write - false when nothing changed that is worth a write.
   */
  async record(
    resource: Resource,
    old: Resource | undefined,
    operation?: PendingOperation,
    write = true,
  ): Promise<void> {
    if (old !== undefined) {
      this.#forget(old);
      if (old.urn !== resource.urn) this.#renames.set(old.urn, resource.urn);
    }
    this.#done.set(resource.urn, resource);
    if (operation !== undefined) this.#pending.delete(operation);
    if (write) await this.flush();
  }

  /** Puts a changed form of an old resource in its place, e.g. with `delete: true`. */
  async amend(old: Resource, changed: Resource, operation?: PendingOperation): Promise<void> {
    const key = this.#keyOf(old);
    if (key !== undefined) this.#old.set(key, changed);
    if (operation !== undefined) this.#pending.delete(operation);
    await this.flush();
  }

  /** Records the new half of a replacement while the old one, as `condemned`, waits for its deletion. */
  async supersede(
    resource: Resource,
    old: Resource,
    condemned: Resource,
    operation?: PendingOperation,
  ): Promise<void> {
    const key = this.#keyOf(old);
    if (key !== undefined) this.#old.set(key, condemned);
    this.#superseded.add(condemned);
    this.#done.set(resource.urn, resource);
    if (operation !== undefined) this.#pending.delete(operation);
    await this.flush();
  }

  /** Takes in what an earlier run had made but not recorded, in the place of the resource that it was to replace. */
  async adopt(operation: PendingOperation, resource: Resource): Promise<void> {
    const old = this.#old.get(resource.urn);
    this.#old.set(resource.urn, resource);
    if (old !== undefined && !old.pendingReplacement) {
      this.#old.set(`${resource.urn}#${this.#old.size}`, { ...old, delete: true });
    }
    this.#pending.delete(operation);
    await this.flush();
  }

  /** True for the old half of a replacement made in this run. */
  isSuperseded(resource: Resource): boolean {
    return this.#superseded.has(resource);
  }

  /** The old resources that no registration has taken over. */
  remaining(): readonly Resource[] {
    return [...this.#old.values()];
  }

  /** Changes or (undefined) takes out several old resources in one write, so that none is left without what it needs. */
  async rewrite(changes: ReadonlyMap<Resource, Resource | undefined>): Promise<void> {
    for (const [old, changed] of changes) {
      const key = this.#keyOf(old);
      if (key === undefined) continue;
      if (changed === undefined) this.#old.delete(key);
      else this.#old.set(key, changed);
    }
    await this.flush();
  }

  /** Takes a deleted resource out. */
  async remove(resource: Resource, operation?: PendingOperation): Promise<void> {
    this.#forget(resource);
    if (operation !== undefined) this.#pending.delete(operation);
    await this.flush();
  }

  /** Sets outputs of a resource that was recorded in this run. */
  async setOutputs(urn: string, change: (resource: Resource) => Resource): Promise<void> {
    const resource = this.#done.get(urn);
    if (resource === undefined) throw new Error(`outputs for a resource that was not registered: ${urn}`);
    const changed = change(resource);
    if (changed === resource) return;
    this.#done.set(urn, changed);
    await this.flush();
  }

  get(urn: string): Resource | undefined {
    return this.#done.get(urn);
  }

  /** Resolves when everything so far is on disk. */
  flush(): Promise<void> {
    const save = this.#save;
    if (save === undefined) return Promise.resolve();
    if (this.#next !== undefined) return this.#next;
    const start = async (): Promise<void> => {
      await this.#writing?.catch(() => undefined);
      this.#next = undefined;
      this.#writing = save(this.text());
      await this.#writing;
    };
    this.#next = start();
    return this.#next;
  }

  #keyOf(resource: Resource): string | undefined {
    const plain = keyOf(resource, -1);
    if (this.#old.get(plain) === resource) return plain;
    for (const [key, value] of this.#old) if (value === resource) return key;
    return undefined;
  }

  #forget(resource: Resource): void {
    const key = this.#keyOf(resource);
    if (key !== undefined) this.#old.delete(key);
    else if (this.#done.get(resource.urn) === resource) this.#done.delete(resource.urn);
  }
}

/** Only entries that wait for deletion may share a URN. */
function keyOf(resource: Resource, index: number): string {
  return resource.delete ? `${resource.urn}#${index}` : resource.urn;
}

/**
 * The same order, but for what would come before something that it needs: an excluded resource is recorded although the
 * program may no longer have what it depends on.
 */
function needsFirst(resources: readonly Resource[]): readonly Resource[] {
  const byUrn = new Map<string, Resource>();
  for (const resource of resources) {
    if (!resource.delete && !byUrn.has(resource.urn)) byUrn.set(resource.urn, resource);
  }
  const ordered = new Set<Resource>();
  const visiting = new Set<Resource>();
  const visit = (resource: Resource): void => {
    if (ordered.has(resource) || visiting.has(resource)) return;
    visiting.add(resource);
    for (const urn of prerequisites(resource)) {
      const needed = byUrn.get(urn);
      if (needed !== undefined) visit(needed);
    }
    ordered.add(resource);
  };
  for (const resource of resources) visit(resource);
  return [...ordered];
}

import type { Goal } from "./goal.ts";

/** What children take over from their parent. */
export interface Inherited {
  readonly protect: boolean | undefined;
  readonly retainOnDelete: boolean | undefined;
  readonly deletedWith: string;
  /** Provider references by package. */
  readonly providers: ReadonlyMap<string, string>;
}

const NOTHING: Inherited = {
  protect: undefined,
  retainOnDelete: undefined,
  deletedWith: "",
  providers: new Map(),
};

/** The inheritable options of every registered resource, by URN. */
export class Inheritance {
  readonly #byUrn = new Map<string, Inherited>();

  of(urn: string): Inherited {
    return this.#byUrn.get(urn) ?? NOTHING;
  }

  /** A resource's own options, filled up from its parent's. */
  add(urn: string, goal: Goal): Inherited {
    const above = this.of(goal.parent);
    const inherited = {
      protect: goal.protect ?? above.protect,
      retainOnDelete: goal.retainOnDelete ?? above.retainOnDelete,
      deletedWith: goal.deletedWith === "" ? above.deletedWith : goal.deletedWith,
      providers: new Map([...above.providers, ...goal.providers]),
    };
    this.#byUrn.set(urn, inherited);
    return inherited;
  }
}

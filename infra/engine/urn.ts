export const STACK_TYPE = "pulumi:pulumi:Stack";
export const PROVIDER_TYPE = "pulumi:providers:";

export interface UrnParts {
  readonly stack: string;
  readonly project: string;
  /** The parents' types and the own one, joined by `$`. */
  readonly qualifiedType: string;
  readonly type: string;
  readonly name: string;
}

/**
 * Takes a URN apart.
 * @throws Error when it is not one.
 */
export function parseUrn(urn: string): UrnParts {
  const [head, project, qualifiedType, ...name] = urn.split("::");
  const stack = head?.startsWith("urn:pulumi:") === true ? head.slice("urn:pulumi:".length) : undefined;
  if (stack === undefined || project === undefined || qualifiedType === undefined || name.length === 0) {
    throw new Error(
      `${JSON.stringify(urn)} is not a URN; expected urn:pulumi:<stack>::<project>::<type>::<name>`,
    );
  }
  const type = qualifiedType.slice(qualifiedType.lastIndexOf("$") + 1);
  return { stack, project, qualifiedType, type, name: name.join("::") };
}

/** The URN of a resource; `parent` may be empty, and the root stack does not appear in the chain of types. */
export function makeUrn(stack: string, project: string, parent: string, type: string, name: string): string {
  const chain = parent === "" ? "" : parseUrn(parent).qualifiedType;
  const prefix = chain === "" || chain === STACK_TYPE ? "" : `${chain}$`;
  return `urn:pulumi:${stack}::${project}::${prefix}${type}::${name}`;
}

export const isProviderType = (type: string): boolean => type.startsWith(PROVIDER_TYPE);

/** `docker` for `docker:index/container:Container` and for `pulumi:providers:docker`. */
export function packageOf(type: string): string {
  if (isProviderType(type)) return type.slice(PROVIDER_TYPE.length);
  return type.slice(0, Math.max(0, type.indexOf(":")));
}

export interface ProviderReference {
  readonly urn: string;
  readonly id: string;
}

export const formatReference = ({ urn, id }: ProviderReference): string => `${urn}::${id}`;

/** @throws Error when the text is not `<urn>::<id>`. */
export function parseReference(text: string): ProviderReference {
  const cut = text.lastIndexOf("::");
  if (cut < 0 || !text.startsWith("urn:pulumi:")) {
    throw new Error(`${JSON.stringify(text)} is not a provider reference; expected <urn>::<id>`);
  }
  return { urn: text.slice(0, cut), id: text.slice(cut + 2) };
}
